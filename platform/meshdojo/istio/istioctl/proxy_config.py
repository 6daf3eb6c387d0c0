"""``istioctl proxy-config``: one function per subcommand."""

from __future__ import annotations

import sys
from typing import Any

from meshdojo.cluster.http import HTTPClient
from meshdojo.istio.istioctl import cluster as cluster_
from meshdojo.istio.istioctl import table
from meshdojo.istio.istioctl.command import CommandError, Invocation
from meshdojo.istio.istioctl.proxyconfig import clusters, listeners, loggers, routes, secrets
from meshdojo.istio.istioctl.proxyconfig.dump import Dump, Target, admin, dump, request, resolve, show

JSON = dict[str, Any]
LISTENER_GAP = 1


def _printed(invocation: Invocation, content: Any, rows: list[tuple[str, ...]], gap: int = 5) -> int:
    if invocation["output"] in ("", "short", "table"):
        table.show(rows, gap)
    else:
        show(content, invocation["output"])
    return 0


def cluster(invocation: Invocation) -> int:
    """``istioctl proxy-config cluster``: Envoy's clusters that the flags choose."""
    wanted = clusters.ClusterFilter(*(invocation[name] for name in ("fqdn", "port", "direction", "subset")))
    found = [one for one in dump(invocation).clusters if clusters.chosen(one, wanted)]
    return _printed(invocation, found, [clusters.CLUSTER_HEADER, *clusters.cluster_rows(found)])


def endpoint(invocation: Invocation) -> int:
    """``istioctl proxy-config endpoint``: hosts with their health, from Envoy's ``/clusters``."""
    statuses = admin(invocation, "clusters?format=json").get("cluster_statuses", [])
    wanted = invocation["cluster"]
    found = [one for one in statuses if not wanted or one["name"] == wanted]
    rows = [row for row in clusters.endpoint_rows(found) if _endpoint_chosen(row, invocation)]
    return _printed(invocation, found, [clusters.ENDPOINT_HEADER, *rows])


def _endpoint_chosen(row: tuple[str, ...], invocation: Invocation) -> bool:
    address, _, port = row[0].rpartition(":")
    if invocation["port"] and invocation["port"] != port:
        return False
    if invocation["address"] and invocation["address"] != address:
        return False
    return not invocation["status"] or str(invocation["status"]).upper() == row[1]


def listener(invocation: Invocation) -> int:
    """``istioctl proxy-config listener``: Envoy's listeners that the flags choose."""
    found = list(dump(invocation).listeners)
    rows = [row for row in listeners.rows(found) if _listener_chosen(row, invocation)]
    return _printed(invocation, found, [listeners.HEADER, *rows], LISTENER_GAP)


def _listener_chosen(row: tuple[str, ...], invocation: Invocation) -> bool:
    if invocation["port"] and invocation["port"] != row[1]:
        return False
    if invocation["address"] and invocation["address"] not in row[0].split(","):
        return False
    kind = "HTTP" if "Route: " in row[3] else "TCP"
    return not invocation["type"] or str(invocation["type"]).upper() == kind


def route(invocation: Invocation) -> int:
    """``istioctl proxy-config route``: virtual hosts and routes, one line for each."""
    found = [one for one in dump(invocation).routes if invocation["name"] in ("", one.get("name"))]
    return _printed(invocation, found, [routes.HEADER, *routes.rows(found)])


def secret(invocation: Invocation) -> int:
    """``istioctl proxy-config secret``: certificates and when they are valid; no keys."""
    found = list(dump(invocation).secrets)
    return _printed(invocation, [entry for _, entry in found], [secrets.HEADER, *secrets.rows(found)])


def log(invocation: Invocation) -> int:
    """``istioctl proxy-config log``: shows or changes Envoy's log levels. Raises `CommandError`."""
    if not invocation.arguments and not invocation["selector"]:
        raise CommandError("log requires pod name or --selector")
    if invocation["reset"] and invocation["level"]:
        raise CommandError("--level cannot be combined with --reset")
    if invocation["output"] not in ("", "short"):
        raise CommandError("--output is not applicable for this command")
    sys.stdout.write(cluster_.run(invocation, lambda client: _log(client, invocation)))
    return 0


async def _log(client: HTTPClient, invocation: Invocation) -> str:
    targets = await _log_targets(client, invocation)
    known = [(await request(client, target, "logging", "POST")).decode() for target in targets]
    paths = loggers.paths(loggers.changes(invocation["level"], invocation["reset"], known[-1]))
    text = ""
    for target in targets:
        answers = [(await request(client, target, path, "POST")).decode() for path in paths]
        text += f"{target.name}.{target.namespace}:\n{answers[-1]}"
    return text


async def _log_targets(client: HTTPClient, invocation: Invocation) -> list[Target]:
    if not invocation["selector"]:
        return [await resolve(client, invocation)]
    namespace = cluster_.namespace(invocation, client)
    pods = (await client.list("pods", namespace, labels=invocation["selector"])).items
    if not pods:
        raise CommandError(f"no pods found for selector {invocation['selector']}")
    return [Target(namespace, pod["metadata"]["name"]) for pod in pods]


def bootstrap(invocation: Invocation) -> int:
    """``istioctl proxy-config bootstrap``: what Envoy started with."""
    show({"bootstrap": dump(invocation).section("BootstrapConfigDump").get("bootstrap", {})}, _format(invocation))
    return 0


def _format(invocation: Invocation) -> str:
    return "json" if invocation["output"] in ("", "short") else str(invocation["output"])


def all(invocation: Invocation) -> int:
    """``istioctl proxy-config all``: the tables of all kinds below each other, or the whole dump."""
    found: Dump = dump(invocation)
    if invocation["output"] not in ("", "short"):
        show({"configs": found.configs}, invocation["output"])
        return 0
    parts = [
        ([clusters.CLUSTER_HEADER, *clusters.cluster_rows(list(found.clusters))], 5),
        ([listeners.HEADER, *listeners.rows(list(found.listeners))], LISTENER_GAP),
        ([routes.HEADER, *routes.rows(found.routes)], 5),
        ([secrets.HEADER, *secrets.rows(found.secrets)], 5),
    ]
    for index, (rows, gap) in enumerate(parts):
        if index:
            print()
        table.show(rows, gap)
    return 0
