"""``proxy-config route``: one line per route of each virtual host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from meshdojo.istio.istioctl.proxyconfig.clusters import rule_of
from meshdojo.istio.istioctl.proxyconfig.listeners import path

JSON = dict[str, Any]
HEADER = ("NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE")
MOST_DOMAINS = 2


def rows(configurations: Iterable[JSON]) -> Iterator[tuple[str, ...]]:
    for configuration in configurations:
        for host in configuration.get("virtual_hosts", ()):
            for route in host.get("routes", ()):
                yield (
                    configuration.get("name", ""),
                    host["name"],
                    domains(host.get("domains", ())),
                    path(route.get("match") or {}),
                    _service(route),
                )


def domains(names: Sequence[str]) -> str:
    """The first two; how many more there are."""
    if len(names) <= MOST_DOMAINS:
        return ", ".join(names)
    return f"{', '.join(names[:MOST_DOMAINS])} + {len(names) - MOST_DOMAINS} more..."


def _service(route: JSON) -> str:
    return "404" if (route.get("direct_response") or {}).get("status") == 404 else rule_of(route)
