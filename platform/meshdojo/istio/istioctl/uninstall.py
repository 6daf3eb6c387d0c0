"""``istioctl uninstall``."""

from __future__ import annotations

import sys

from meshdojo.istio.install.uninstall import uninstall
from meshdojo.istio.istioctl import cluster
from meshdojo.istio.istioctl.command import CommandError, Invocation


def run(invocation: Invocation) -> int:
    revision = _revision(invocation)
    if not revision and not invocation["purge"]:
        raise CommandError(
            "at least one of the --revision (or --set revision=<revision>), --filename or --purge flags must be set"
        )
    if invocation["purge"]:
        print("All Istio resources will be pruned from the cluster\n")
    if not invocation["skip-confirmation"] and not _confirmed():
        print("Cancelled.")
        return 1
    if not invocation["dry-run"]:
        scope = "" if invocation["purge"] else revision
        cluster.run(invocation, lambda client: uninstall(client, scope, print))
    print("✔ Uninstall complete")
    return 0


def _revision(invocation: Invocation) -> str:
    chosen = [text.partition("=")[2] for text in invocation["set"] if text.startswith("revision=")]
    return str(invocation["revision"] or (chosen[-1] if chosen else ""))


def _confirmed() -> bool:
    sys.stdout.write("Proceed? (y/N) ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
