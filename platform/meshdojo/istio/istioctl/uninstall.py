"""``istioctl uninstall``."""

from __future__ import annotations

import sys

from meshdojo.cluster.http import HTTPClient
from meshdojo.istio.install.uninstall import REVISION, Found, removable, remove
from meshdojo.istio.istioctl import cluster
from meshdojo.istio.istioctl.command import CommandError, Invocation

ALL = "All Istio resources will be pruned from the cluster\n"
NONE = "No resources will be pruned from the cluster. Please double check the input configs\n"
DETACHED = (
    "If you proceed with the uninstall, these proxies will become detached from any control plane and will not "
    "function correctly.\n"
)
GATEWAYS = (
    "You are about to remove the following gateways: {}. To avoid downtime, please quit this command and reinstall the "
    "gateway(s) with a revision that is not being removed from the cluster.\n"
)
_MANY = 30


def run(invocation: Invocation) -> int:
    """``istioctl uninstall``: one revision, one manifest, or all of it with --purge. Raises `CommandError`."""
    revision = _revision(invocation)
    if not revision and not invocation["filename"] and not invocation["purge"]:
        raise CommandError(
            "at least one of the --revision (or --set revision=<revision>), --filename or --purge flags must be set"
        )
    if invocation.arguments:
        raise CommandError("istioctl uninstall does not take arguments")
    if invocation["purge"] and (revision or invocation["filename"]):
        print("Purge uninstall will remove all Istio resources, ignoring the specified revision or operator file")
    scope = "" if invocation["purge"] else revision or "default"
    found, message = cluster.run(invocation, lambda client: _look(client, invocation, scope, revision))
    if invocation["skip-confirmation"] or invocation["dry-run"]:
        print(message)
    elif not _confirmed(message):
        print("Cancelled.")
        return 1
    if invocation["dry-run"]:
        for one in found:
            print(f"Not pruning object {one} because of dry run.")
    else:
        cluster.run(invocation, lambda client: remove(client, found, lambda line: print(line, flush=True)))
    print("\n✔ Uninstall complete", file=sys.stderr)
    return 0


def _revision(invocation: Invocation) -> str:
    chosen = [text.partition("=")[2] for text in invocation["set"] if text.startswith("revision=")]
    return str(invocation["revision"] or (chosen[-1] if chosen else ""))


async def _look(client: HTTPClient, invocation: Invocation, scope: str, given: str) -> tuple[list[Found], str]:
    """What would be removed, and what is to be said before. Raises CommandError for a revision that is not there."""
    if given and not await _exists(client, given, invocation["istioNamespace"]):
        raise CommandError("could not find target revision")
    found = await removable(client, scope)
    if invocation["purge"]:
        return found, ALL
    if not found:
        return found, NONE
    proxies = await _proxies(client, invocation, scope) if given else []
    return found, warnings(found, proxies, scope)


def warnings(found: list[Found], proxies: list[str], revision: str) -> str:
    """What istioctl says about proxies and gateways that lose their control plane."""
    message = ""
    if proxies:
        message += f"There are still {len(proxies)} proxies pointing to the control plane revision {revision}\n"
        if len(proxies) <= _MANY:
            message += "\n".join(proxies) + "\n"
        message += DETACHED
    gateways = [one.name for one in found if one.kind == "Deployment" and "gateway" in one.name]
    return message + (GATEWAYS.format(", ".join(gateways)) if gateways else "")


async def _exists(client: HTTPClient, revision: str, system: str) -> bool:
    pods = await client.list("pods", system, labels=f"app=istiod,{REVISION}={revision}")
    webhooks = await client.list(
        "mutatingwebhookconfigurations.admissionregistration.k8s.io", labels=f"{REVISION}={revision}"
    )
    return bool(pods.items or webhooks.items)


async def _proxies(client: HTTPClient, invocation: Invocation, revision: str) -> list[str]:
    try:
        answers = await cluster.all_istiods(client, invocation["istioNamespace"], "syncz", revision)
    except CommandError:
        return []
    return sorted(entry["proxy"] for _, answer in answers for entry in answer)


def _confirmed(message: str) -> bool:
    sys.stdout.write(f"{message}Proceed? (y/N) ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
