"""One node of the picture, looked at closely: its pods, the configuration in effect, its proxies' log and counters."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from meshdojo.checks.pods import has_sidecar, is_ready
from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import ClusterError, StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.observation.observer import PROXY, Observer
from meshdojo.observation.policies import Config
from meshdojo.observation.workloads import Group

LOG_LINES = 30
MOST_PODS = 6


async def details(client: HTTPClient, observer: Observer, node: str) -> dict[str, Any] | None:
    """``{id, name, pods, config, log, counters}``; None for a node that is not there."""
    group = next((group for group in observer.groups if group.id == node), None)
    if group is None:
        return None
    pods = [pod for workload in group.workloads for pod in workload.pods]
    looked_at = [pod for pod in pods if has_sidecar(pod) or group.kind == "gateway"][:MOST_PODS]
    logs, counters = await asyncio.gather(
        asyncio.gather(*(_log(client, pod) for pod in looked_at)),
        asyncio.gather(*(_counters(client, pod) for pod in looked_at)),
    )
    return {
        "id": group.id,
        "name": group.name,
        "namespace": group.namespace,
        "kind": group.kind,
        "pods": [_pod(pod) for pod in pods],
        "config": [_manifest(obj) for obj in in_effect(group, observer.config)],
        "log": sorted((line for lines in logs for line in lines), key=lambda line: line["line"]),
        "counters": [row for rows in counters for row in rows],
    }


def _pod(pod: Object) -> dict[str, Any]:
    statuses = [*pod["status"].get("containerStatuses", ()), *pod["status"].get("initContainerStatuses", ())]
    waiting = [
        status["state"]["waiting"].get("reason", "") for status in statuses if "waiting" in status.get("state", {})
    ]
    return {
        "name": pod["metadata"]["name"],
        "address": pod["status"].get("podIP", ""),
        "version": pod["metadata"].get("labels", {}).get("version", ""),
        "ready": is_ready(pod),
        "state": waiting[0] if waiting else pod["status"].get("phase", ""),
        "sidecar": has_sidecar(pod),
        "restarts": sum(status.get("restartCount", 0) for status in statuses),
        "labels": pod["metadata"].get("labels", {}),
    }


def in_effect(group: Group, config: Config) -> list[Object]:
    """The resources that steer requests to this node."""
    if group.kind == "gateway":
        labels = group.workloads[0].pods[0]["metadata"].get("labels", {})
        chosen = [
            one
            for one in config.gateways
            if all(labels.get(key) == value for key, value in (one["spec"].get("selector") or {}).items())
        ]
        names = {one["metadata"]["name"] for one in chosen}
        bound = [
            one
            for one in config.virtual_services
            if any(name.rpartition("/")[2] in names for name in one["spec"].get("gateways") or ())
        ]
        return [*chosen, *bound]
    services = {id(service): service for service, _route in config.routes_to(group.namespace, group.name)}
    policies = [
        one for one in config.peer_authentications if one["metadata"]["namespace"] in (group.namespace, "istio-system")
    ]
    return [*services.values(), *config.rules_for(group.namespace, group.name), *policies]


def _manifest(obj: Object) -> dict[str, Any]:
    """A resource without what only the server writes."""
    metadata = {name: obj["metadata"][name] for name in ("name", "namespace") if name in obj["metadata"]}
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata, "spec": obj.get("spec", {})}


async def _log(client: HTTPClient, pod: Object) -> list[dict[str, str]]:
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    try:
        text = await client.logs(namespace, name, PROXY, tail_lines=LOG_LINES * 3)
    except ClusterError:
        return []
    lines = [line for line in text.splitlines() if line.startswith(("[", '{"'))]
    return [{"pod": name, "line": line} for line in lines[-LOG_LINES:]]


async def _counters(client: HTTPClient, pod: Object) -> list[dict[str, Any]]:
    """What this proxy's Envoy counts for each endpoint that it calls: its page ``/clusters``.

    Unlike its statistics, that page is complete on every installation (see the proxyStatsMatcher of Istio).
    """
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    command = ["pilot-agent", "request", "GET", "clusters?format=json"]
    try:
        result = await client.exec(namespace, name, command, PROXY, seconds=10)
        found = json.loads(result.stdout) if result.exit_code == 0 else {}
    except (StatusError, ClusterError, ValueError):
        return []
    return [
        row
        for cluster in found.get("cluster_statuses", ())
        if cluster["name"].startswith("outbound|")
        for row in _endpoints(name, cluster)
        if row["requests"]
    ]


def _endpoints(pod: str, cluster: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for host in cluster.get("host_statuses", ()):
        counts = {stat["name"]: int(stat.get("value", 0)) for stat in host.get("stats", ())}
        socket = host.get("address", {}).get("socket_address", {})
        health = host.get("health_status", {})
        rows.append(
            {
                "pod": pod,
                "cluster": cluster["name"],
                "endpoint": f"{socket.get('address', '')}:{socket.get('port_value', '')}",
                "requests": counts.get("rq_total", 0),
                "errors": counts.get("rq_error", 0),
                "active": counts.get("rq_active", 0),
                "connections": counts.get("cx_active", 0),
                "ejected": bool(health.get("failed_outlier_check")),
            }
        )
    return rows
