"""``istioctl proxy-status``."""

from __future__ import annotations

import json
from typing import Any

from meshdojo.istio.istioctl import cluster, table
from meshdojo.istio.istioctl.command import CommandError, Invocation

JSON = dict[str, Any]
HEADER = ("NAME", "CLUSTER", "ISTIOD", "VERSION", "SUBSCRIBED TYPES")
TYPES = ("CDS", "LDS", "EDS", "RDS", "ECDS", "SDS")


def run(invocation: Invocation) -> int:
    """``istioctl proxy-status``: what each proxy was sent and has acknowledged. Raises `CommandError`."""
    system, revision = invocation["istioNamespace"], invocation["revision"]
    answers = cluster.run(invocation, lambda client: cluster.all_istiods(client, system, "syncz", revision))
    entries = sorted(_flat(answers), key=lambda entry: str(entry["proxy"]))
    if invocation.arguments:
        entries = _chosen(entries, invocation.arguments[0], invocation["namespace"])
    if invocation["output"] == "json":
        print(json.dumps(entries, indent=2))
        return 0
    if invocation["output"] not in ("", "table"):
        raise CommandError(f"output format {invocation['output']!r} not supported: allowed are table and json")
    table.show([HEADER, *map(_row, entries)])
    return 0


def _flat(answers: list[tuple[str, Any]]) -> list[JSON]:
    return [{**entry, "istiod": name} for name, answer in answers for entry in answer]


def _chosen(entries: list[JSON], name: str, namespace: str) -> list[JSON]:
    wanted = name.rpartition("/")[2]
    full = wanted if "." in wanted else f"{wanted}.{namespace or 'default'}"
    found = [entry for entry in entries if entry["proxy"] == full]
    if not found:
        raise CommandError(f"unable to retrieve Pod: pods {full!r} not found among the connected proxies")
    return found


def _row(entry: JSON) -> tuple[str, str, str, str, str]:
    return (
        str(entry["proxy"]),
        str(entry.get("cluster_id") or "Kubernetes"),
        str(entry["istiod"]),
        str(entry.get("istio_version", "")),
        subscribed(entry),
    )


def subscribed(entry: JSON) -> str:
    """``4 (CDS,LDS,EDS,RDS)``; a type that the proxy refused is marked.

    A workload's own certificate does not count: on a real cluster the proxy has it from its agent, not from istiod.
    """
    found = {one["type"]: one for one in (entry.get("resources") or {}).values()}
    shown = [f"{name}{_mark(found[name])}" for name in TYPES if name in found and not found[name].get("workload")]
    return f"{len(shown)} ({','.join(shown)})"


def _mark(one: JSON) -> str:
    return " REFUSED" if one.get("error") else ""
