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
    """A row for each route: configuration, virtual host, domains, match, the VirtualService that it comes from."""
    for configuration in configurations:
        for host in sorted(configuration.get("virtual_hosts", ()), key=_name):
            for route in host.get("routes", ()):
                yield (
                    configuration.get("name", ""),
                    host["name"],
                    domains(host.get("domains", ())),
                    path(route.get("match") or {}),
                    _service(route),
                )


def _name(host: JSON) -> str:
    return str(host["name"])


def domains(names: Sequence[str]) -> str:
    """The first two, how many more there are; names that a shorter one of the list stands for are left out.

    Source: describeRouteDomains in istioctl/pkg/writer/envoy/configdump.
    """
    if len(names) <= 1:
        return "".join(names)
    shown = [name for name in names if ":" not in name and not _implied(name, names)]
    if len(shown) <= MOST_DOMAINS:
        return ", ".join(shown)
    return f"{', '.join(shown[:MOST_DOMAINS])} + {len(shown) - MOST_DOMAINS} more..."


def _implied(name: str, names: Sequence[str]) -> bool:
    return any(name.endswith(end) and name.removesuffix(end) in names for end in (".svc.cluster.local", ".svc"))


def _service(route: JSON) -> str:
    return "404" if (route.get("direct_response") or {}).get("status") == 404 else rule_of(route)
