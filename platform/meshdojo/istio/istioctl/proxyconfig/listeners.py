"""``proxy-config listener``: one line per filter chain, as it matches and where it leads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

JSON = dict[str, Any]
HEADER = ("ADDRESSES", "PORT", "MATCH", "DESTINATION")
# The listener that takes all outgoing connections; its chains stand for Istio's listeners per port.
CAPTURE_PORT = 15001


def rows(listeners: list[JSON]) -> list[tuple[str, ...]]:
    """Sorted by port and address."""
    found = [row for listener in listeners for row in _listener(listener)]
    return sorted(found, key=lambda row: (int(row[1]), row[0]))


def _listener(listener: JSON) -> Iterator[tuple[str, ...]]:
    address, port = _place(listener)
    chains = [*listener.get("filter_chains", ())]
    if "default_filter_chain" in listener:
        chains.append(listener["default_filter_chain"])
    for chain in chains:
        match = chain.get("filter_chain_match") or {}
        ranges = [_range(one) for one in match.get("prefix_ranges", ())]
        if port == CAPTURE_PORT and "destination_port" in match:
            yield (
                ",".join(ranges) or "0.0.0.0",
                str(match["destination_port"]),
                _match(match, False),
                _destination(chain),
            )
        else:
            yield address, str(port), _match(match, True), _destination(chain)


def _place(listener: JSON) -> tuple[str, int]:
    socket = (listener.get("address") or {}).get("socket_address") or {}
    return str(socket.get("address", "")), int(socket.get("port_value", 0))


def _range(prefix: JSON) -> str:
    length = prefix.get("prefix_len", 32)
    return str(prefix["address_prefix"]) if length == 32 else f"{prefix['address_prefix']}/{length}"


def _match(match: JSON, with_address: bool) -> str:
    said = []
    if names := match.get("server_names"):
        said.append(f"SNI: {','.join(names)}")
    if transport := match.get("transport_protocol"):
        said.append(f"Trans: {transport}")
    if protocols := match.get("application_protocols"):
        said.append(f"App: {','.join(protocols)}")
    port = match.get("destination_port", "*")
    ranges = ",".join(_range(one) for one in match.get("prefix_ranges", ())) or "*"
    if with_address and (port != "*" or ranges != "*"):
        said.append(f"Addr: {ranges}:{port}")
    return "; ".join(said) or "ALL"


def _destination(chain: JSON) -> str:
    for one in chain.get("filters", ()):
        config = one.get("typed_config") or {}
        if one["name"].endswith("http_connection_manager"):
            return _routes(config)
        if one["name"].endswith("tcp_proxy"):
            return _target(config)
    return "Non-HTTP/Non-TCP"


def _routes(config: JSON) -> str:
    if "rds" in config:
        return f"Route: {config['rds']['route_config_name']}"
    hosts = (config.get("route_config") or {}).get("virtual_hosts", ())
    routes = [route for host in hosts for route in host.get("routes", ())]
    clusters = {route.get("route", {}).get("cluster", "") for route in routes}
    if len(clusters) == 1 and (name := next(iter(clusters))).startswith("inbound|"):
        return f"Cluster: {name}"
    return "Inline Route: " + ", ".join(path(route.get("match") or {}) for route in routes)


def _target(config: JSON) -> str:
    weighted = (config.get("weighted_clusters") or {}).get("clusters", ())
    names = [config["cluster"]] if "cluster" in config else [str(one["name"]) for one in weighted]
    return ", ".join(f"Cluster: {name}" if "|" in name else name for name in names)


def path(match: JSON) -> str:
    """How a route's path is shown: ``/exact``, ``/prefix*``, ``regex /expression``."""
    if "path" in match:
        return str(match["path"])
    if "safe_regex" in match:
        return f"regex {match['safe_regex'].get('regex', '')}"
    prefix = match.get("path_separated_prefix") or match.get("prefix", "/")
    return f"{prefix}*"
