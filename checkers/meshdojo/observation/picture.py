"""The graph: nodes and ways with all that is known of them, as plain data for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.observation import policies
from meshdojo.observation.policies import Config
from meshdojo.observation.traffic import OUTSIDE, Flow, Way
from meshdojo.observation.workloads import Group, Workload

Picture = dict[str, Any]
# Shown only where something goes through them.
ON_DEMAND = ("probe", "gateway")


def draw(groups: Sequence[Group], config: Config, flows: Mapping[Way, Flow], now: float, source: str) -> Picture:
    """``{source, nodes: [{id, kind, namespace, name, versions, …}], ways: [{source, target, rate, …}]}``.

    `source` says in words where the numbers come from. A way that was used once stays, without requests.
    """
    known = {group.id for group in groups}
    ways = _ways(flows, now)
    wanted = {end for way in ways for end in (way["source"], way["target"])}
    planned = _planned(groups, config, ways)
    wanted |= {way["source"] for way in planned}
    nodes = [_node(group, config, flows, now) for group in groups if group.id in wanted or group.kind not in ON_DEMAND]
    nodes += [_other(end) for end in sorted(wanted - known) if end == OUTSIDE or end.startswith("external/")]
    shown = {node["id"] for node in nodes}
    ways = [way for way in ways if way["source"] in shown and way["target"] in shown]
    return {"source": source, "nodes": nodes, "ways": ways + planned}


def _node(group: Group, config: Config, flows: Mapping[Way, Flow], now: float) -> dict[str, Any]:
    labels = group.workloads[0].pods[0]["metadata"].get("labels", {}) if group.workloads else {}
    in_mesh = any(workload.sidecars or workload.gateway for workload in group.workloads)
    return {
        "id": group.id,
        "kind": group.kind,
        "namespace": group.namespace,
        "name": group.name,
        "mtls": config.mtls(group.namespace, labels) if in_mesh and group.kind != "gateway" else "",
        "faults": policies.faults(config, group.namespace, group.name),
        "notes": policies.notes(config, group.namespace, group.name),
        "versions": [_version(group, workload, config, flows, now) for workload in group.workloads],
    }


def _version(group: Group, one: Workload, config: Config, flows: Mapping[Way, Flow], now: float) -> dict[str, Any]:
    into = [flow for way, flow in flows.items() if way.target == group.id and way.version == one.name]
    figures = [flow.figures(now) for flow in into]
    rate = sum(each.rate for each in figures)
    failed = sum(each.rate * each.errors for each in figures)
    return {
        "name": one.name,
        "version": one.version,
        "pods": len(one.pods),
        "ready": one.ready,
        "sidecars": one.sidecars,
        "weight": policies.weights(config, group.namespace, group.name, one.pods) if group.kind == "service" else None,
        "rate": round(rate, 1),
        "errors": round(failed / rate, 3) if rate else 0.0,
    }


def _ways(flows: Mapping[Way, Flow], now: float) -> list[dict[str, Any]]:
    """The flows to one node put together, whichever version answered."""
    found: dict[tuple[str, str], list[Flow]] = {}
    for way, flow in flows.items():
        found.setdefault((way.source, way.target), []).append(flow)
    return [_way(*ends, members, now) for ends, members in sorted(found.items())]


def _way(source: str, target: str, members: list[Flow], now: float) -> dict[str, Any]:
    figures = [flow.figures(now) for flow in members]
    rate = sum(each.rate for each in figures)
    failed = sum(each.rate * each.errors for each in figures)
    said = [flow.encrypted for flow in members if flow.encrypted is not None]
    codes: dict[str, int] = {}
    for flow in members:
        for code, count in flow.codes.items():
            codes[str(code)] = codes.get(str(code), 0) + count
    return {
        "source": source,
        "target": target,
        "rate": round(rate, 1),
        "errors": round(failed / rate, 3) if rate else 0.0,
        "median": round(max((each.median for each in figures if each.rate), default=0.0)),
        "p95": round(max((each.p95 for each in figures if each.rate), default=0.0)),
        "total": sum(flow.total for flow in members),
        "codes": codes,
        "mtls": all(said) if said else None,
    }


def _planned(groups: Sequence[Group], config: Config, ways: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The ways from gateways that routes make, as long as nobody has taken them."""
    used = {(way["source"], way["target"]) for way in ways}
    gateways = [group for group in groups if group.kind == "gateway"]
    found = []
    for group in groups:
        if group.kind != "service":
            continue
        for service, _route in config.routes_to(group.namespace, group.name):
            for gateway in gateways:
                ends = (gateway.id, group.id)
                if ends not in used and _is_bound(service, gateway, config):
                    used.add(ends)
                    found.append(_way(*ends, [], 0.0))
    return found


def _is_bound(service: Object, gateway: Group, config: Config) -> bool:
    labels = gateway.workloads[0].pods[0]["metadata"].get("labels", {})
    own = service["metadata"]["namespace"]
    names = {name if "/" in name else f"{own}/{name}" for name in service["spec"].get("gateways") or ()}
    return any(
        f"{one['metadata']['namespace']}/{one['metadata']['name']}" in names
        and all(labels.get(key) == value for key, value in (one["spec"].get("selector") or {}).items())
        for one in config.gateways
    )


def _other(end: str) -> dict[str, Any]:
    name = "outside" if end == OUTSIDE else end.removeprefix("external//")
    kind = "outside" if end == OUTSIDE else "external"
    return {
        "id": end,
        "kind": kind,
        "namespace": "",
        "name": name,
        "mtls": "",
        "faults": [],
        "notes": [],
        "versions": [],
    }
