"""``proxy-config cluster`` and ``proxy-config endpoint``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

JSON = dict[str, Any]
CLUSTER_HEADER = ("SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE")
ENDPOINT_HEADER = ("ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER")


@dataclass(frozen=True)
class ClusterFilter:
    fqdn: str = ""
    port: str = ""
    direction: str = ""
    subset: str = ""


def parts(name: str) -> tuple[str, str, str, str]:
    """Direction, port, subset and host of ``outbound|80|v1|web.shop.svc.cluster.local``; others have a host only."""
    found = name.split("|")
    return (found[0], found[1], found[2], found[3]) if len(found) == 4 else ("", "", "", name)


def chosen(cluster: JSON, wanted: ClusterFilter) -> bool:
    """Whether a cluster fits the flags: FQDN and subset by part, port and direction exactly."""
    direction, port, subset, host = parts(cluster["name"])
    return (
        wanted.fqdn in host
        and (not wanted.port or wanted.port == port)
        and (not wanted.direction or wanted.direction == direction)
        and (not wanted.subset or wanted.subset in subset)
    )


def cluster_rows(clusters: list[JSON]) -> list[tuple[str, ...]]:
    """Sorted by host, subset and port."""
    return sorted((_cluster_row(one) for one in clusters), key=lambda row: (row[0], row[2], row[1].zfill(5)))


def _cluster_row(cluster: JSON) -> tuple[str, ...]:
    direction, port, subset, host = parts(cluster["name"])
    kind = (cluster.get("cluster_type") or {}).get("name") or cluster.get("type", "STATIC")
    return host, port or "-", subset or "-", direction or "-", kind, rule_of(cluster)


def rule_of(resource: JSON) -> str:
    """``NAME.NAMESPACE`` of the Istio object that a cluster or a route was made from."""
    path = ((resource.get("metadata") or {}).get("filter_metadata") or {}).get("istio", {}).get("config", "")
    words = str(path).split("/")
    return f"{words[-1]}.{words[-3]}" if len(words) >= 3 else ""


def endpoint_rows(statuses: list[JSON]) -> Iterator[tuple[str, ...]]:
    """One row for each host of each cluster, sorted by address."""
    rows = [_endpoint_row(host, status["name"]) for status in statuses for host in status.get("host_statuses", ())]
    yield from sorted(rows)


def _endpoint_row(host: JSON, cluster: str) -> tuple[str, ...]:
    health = host.get("health_status") or {}
    failed = health.get("failed_outlier_check") or health.get("failed_outlier_detection")
    return _address(host["address"]), health.get("eds_health_status", "UNKNOWN"), "FAILED" if failed else "OK", cluster


def _address(address: JSON) -> str:
    if "pipe" in address:
        return f"unix://{address['pipe']['path']}"
    socket = address["socket_address"]
    return f"{socket['address']}:{socket.get('port_value', 0)}"
