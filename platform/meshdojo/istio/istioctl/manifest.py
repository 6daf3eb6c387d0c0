"""``istioctl manifest generate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from meshdojo.istio.install.manifests import manifests
from meshdojo.istio.istioctl.command import CommandError, Invocation
from meshdojo.istio.istioctl.install import options


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes what is there twice twice, not as a reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: Any, text: str) -> Any:
    """Configuration within an object is there to be read: as a block."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def document(manifest: dict[str, Any]) -> str:
    """One object as YAML."""
    return str(yaml.dump(manifest, Dumper=_Dumper, sort_keys=True, width=10_000))


def run(invocation: Invocation) -> int:
    """``istioctl manifest generate``: prints the manifests, or writes them to a directory. Raises `CommandError`."""
    if invocation.arguments:
        given = ", ".join(f'"{one}"' for one in invocation.arguments)
        raise CommandError(f"generate accepts no positional arguments, got []string{{{given}}}")
    text = "".join(f"{document(one)}\n---\n" for one in manifests(options(invocation)))
    if not invocation["output"]:
        sys.stdout.write(text)
        return 0
    try:
        Path(invocation["output"]).write_text(text)
    except OSError as error:
        reason = f"open {invocation['output']}: {(error.strerror or str(error)).lower()}"
        raise CommandError(f'write manifest to "{invocation["output"]}": {reason}') from None
    return 0
