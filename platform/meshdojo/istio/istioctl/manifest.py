"""``istioctl manifest generate``."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from meshdojo.istio.install.manifests import manifests
from meshdojo.istio.istioctl.command import CommandError, Invocation
from meshdojo.istio.istioctl.install import options


def run(invocation: Invocation) -> int:
    text = yaml.dump_all(
        manifests(options(invocation)),
        Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        explicit_start=True,
        sort_keys=True,
    )
    if not invocation["output"]:
        sys.stdout.write(text)
        return 0
    try:
        Path(invocation["output"]).write_text(text)
    except OSError as error:
        raise CommandError(f"open {invocation['output']}: {(error.strerror or str(error)).lower()}") from None
    return 0
