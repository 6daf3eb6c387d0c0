"""``istioctl install``."""

from __future__ import annotations

import sys
from pathlib import Path

from meshdojo.cluster.http import HTTPClient
from meshdojo.istio.install import apply
from meshdojo.istio.install.manifests import Component, components
from meshdojo.istio.install.options import REVISION, Options, load
from meshdojo.istio.install.paths import BadOption
from meshdojo.istio.istioctl import cluster
from meshdojo.istio.istioctl.command import CommandError, Invocation
from meshdojo.istio.istioctl.durations import seconds


def check_revision(invocation: Invocation) -> None:
    """Raises CommandError as the real one does before anything else."""
    revision = invocation["revision"]
    if revision and not REVISION.fullmatch(revision):
        raise CommandError(f"invalid revision specified: {revision}")


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
    """``istioctl install``: waits until every part is ready unless told not to. Raises `CommandError`."""
    if invocation.arguments:
        raise CommandError(f"accepts 0 arg(s), received {len(invocation.arguments)}")
    check_revision(invocation)
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
            _progress(part, False)
            _progress(part, True)
    else:
        cluster.run(invocation, lambda client: _install(client, chosen, seconds(invocation["readiness-timeout"])))
    _say("✔ Installation complete")
    return 0


async def _install(client: HTTPClient, chosen: Options, timeout: float) -> None:
    try:
        await apply.install(client, chosen, _progress, timeout, print)
    except apply.NotReady as error:
        raise CommandError(f"failed to install manifests: {error}") from None


def _progress(part: Component, done: bool) -> None:
    """The real one's lines where standard error is no terminal; at one it would write them over each other."""
    if done:
        _say(f"✔ {part.name} installed {part.symbol}")
    elif not sys.stderr.isatty():
        _say(f"- Processing resources for {part.name}.")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _confirmed(chosen: Options, parts: list[Component]) -> bool:
    names = " ".join(f"{part.name!r}" for part in parts).replace("'", '"')
    profile = chosen.spec.get("profile") or "default"
    question = f'This will install the Istio {chosen.tag} profile "{profile}" into the cluster. Proceed? (y/N) '
    sys.stdout.write(question)
    sys.stdout.flush()
    answer = sys.stdin.readline().strip().lower()
    return answer in ("y", "yes") and bool(names)
