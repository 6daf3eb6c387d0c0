"""``istioctl install``."""

from __future__ import annotations

import sys
from pathlib import Path

from meshdojo.cluster.http import HTTPClient
from meshdojo.istio.install import apply
from meshdojo.istio.install.manifests import Component, components
from meshdojo.istio.install.options import Options, load
from meshdojo.istio.install.paths import BadOption
from meshdojo.istio.istioctl import cluster
from meshdojo.istio.istioctl.command import CommandError, Invocation
from meshdojo.istio.istioctl.durations import seconds


def options(invocation: Invocation) -> Options:
    """The options of the flags, after warning about what has no effect here. Raises CommandError."""
    files = [Path(name) for name in invocation["filename"]]
    try:
        found = load(invocation["set"], files, invocation["revision"])
    except BadOption as error:
        raise CommandError(str(error)) from None
    for warning in found.warnings:
        print(f"! {warning}", file=sys.stderr)
    return found


def run(invocation: Invocation) -> int:
    try:
        chosen = options(invocation)
    except CommandError as error:
        raise CommandError(f"generate config: {error}", error.code) from None
    parts = components(chosen)
    if not (invocation["skip-confirmation"] or invocation["dry-run"]) and not _confirmed(chosen, parts):
        print("Cancelled.")
        return 1
    if invocation["dry-run"]:
        for part in parts:
            _report(part)
    else:
        cluster.run(invocation, lambda client: _install(client, chosen, seconds(invocation["readiness-timeout"])))
    print("✔ Installation complete")
    return 0


async def _install(client: HTTPClient, chosen: Options, timeout: float) -> None:
    try:
        await apply.install(client, chosen, _report, timeout)
    except apply.NotReady as error:
        raise CommandError(f"failed to install manifests: {error}") from None


def _report(part: Component) -> None:
    print(f"✔ {part.name} installed {part.symbol}", flush=True)


def _confirmed(chosen: Options, parts: list[Component]) -> bool:
    names = " ".join(f"{part.name!r}" for part in parts).replace("'", '"')
    profile = chosen.spec.get("profile") or "default"
    question = f'This will install the Istio {chosen.tag} profile "{profile}" into the cluster. Proceed? (y/N) '
    sys.stdout.write(question)
    sys.stdout.flush()
    answer = sys.stdin.readline().strip().lower()
    return answer in ("y", "yes") and bool(names)
