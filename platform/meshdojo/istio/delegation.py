"""Delegates: a VirtualService without hosts holds routes to which others (the roots) point with ``delegate``.

`Delegation.merged` puts the delegates' routes in the place of the routes that point to them; what is left has hosts
and no delegates, and nothing behind it needs to know that there are any. A route of a delegate whose conditions do not
lie within its root's is left out, and so is a route whose delegate is not there or not exported to the root's
namespace.

Source: mergeVirtualServices and MergeHTTPRoutes in istio/pilot/pkg/model.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from meshdojo.istio import hosts
from meshdojo.istio.configs import Config
from meshdojo.istio.models.common import Destination
from meshdojo.istio.models.virtual_service import HTTPMatchRequest, HTTPRoute, StringMatch, VirtualService
from meshdojo.istio.service import visible

Delegates = Mapping[tuple[str, str], Config[VirtualService]]
"""By namespace and name."""

log = logging.getLogger("model")
# What a delegate's route takes over from its root where it has nothing of its own.
_INHERITED = (
    *("rewrite", "direct_response", "timeout", "retries", "fault", "mirror", "mirror_percent", "mirror_percentage"),
    *("cors_policy", "mirrors", "headers"),
)


class Delegation:
    """Merges, and gives a result that it gave before the same serial, so that caches keep what was made from it."""

    def __init__(self, serial: Callable[[], int]) -> None:
        self._serial = serial
        self._made: dict[tuple[int, ...], Config[VirtualService]] = {}

    def merged(self, configs: Iterable[Config[VirtualService]]) -> Iterator[Config[VirtualService]]:
        """The roots and all others that have hosts, in their order."""
        found = list(configs)
        delegates = {(one.namespace, one.name): one for one in found if not one.object.spec.hosts}
        made: dict[tuple[int, ...], Config[VirtualService]] = {}
        for one in found:
            if not one.object.spec.hosts:
                continue
            if not any(route.delegate for route in one.object.spec.http):
                yield one
                continue
            parts = (one.serial, *(other.serial for other in _delegates(one, delegates) if other is not None))
            made[parts] = self._made.get(parts) or self._merge(one, delegates)
            yield made[parts]
        self._made = made

    def _merge(self, root: Config[VirtualService], delegates: Delegates) -> Config[VirtualService]:
        routes: list[HTTPRoute] = []
        for route, delegate in zip(root.object.spec.http, _delegates(root, delegates), strict=True):
            if route.delegate is None:
                routes.append(route)
            elif delegate is None:
                log.warning("%s: the delegate %s is not there for it", root.ref, route.delegate.name)
            else:
                routes += (merged for own in delegate.object.spec.http if (merged := _route(route, own, delegate)))
        spec = root.object.spec.model_copy(update={"http": tuple(routes)})
        return replace(root, object=root.object.model_copy(update={"spec": spec}), serial=self._serial())


def _delegates(root: Config[VirtualService], delegates: Delegates) -> Iterator[Config[VirtualService] | None]:
    """For each route of the root its delegate: None without one, or where it is not to be had."""
    for route in root.object.spec.http:
        found = None
        if route.delegate is not None:
            found = delegates.get((route.delegate.namespace or root.namespace, route.delegate.name))
        exported = found is not None and visible(found.object.spec.export_to, found.namespace, root.namespace)
        yield found if exported else None


def _route(root: HTTPRoute, own: HTTPRoute, delegate: Config[VirtualService]) -> HTTPRoute | None:
    """The delegate's route under the root's conditions; None when the two exclude each other."""
    resolved = _resolved(own, delegate.namespace)
    match = _matches(root.match, resolved.match)
    if match is None:
        log.warning("%s: route %r lies outside of its root's conditions", delegate.ref, own.name)
        return None
    changes: dict[str, Any] = {
        name: getattr(root, name) for name in _INHERITED if getattr(own, name) in (None, ()) and getattr(root, name)
    }
    return resolved.model_copy(update={**changes, "match": match, "name": _joined(root.name, own.name)})


def _joined(root: str, own: str) -> str:
    return f"{root}-{own}" if root and own else own or root


def _resolved(route: HTTPRoute, namespace: str) -> HTTPRoute:
    """Short names in a delegate are those of its own namespace."""

    def full(destination: Destination) -> Destination:
        return destination.model_copy(update={"host": hosts.resolve(destination.host, namespace)})

    def targets(entries: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(one.model_copy(update={"destination": full(one.destination)}) for one in entries)

    def gateways(match: HTTPMatchRequest) -> HTTPMatchRequest:
        names = (one if one == hosts.MESH or "/" in one else f"{namespace}/{one}" for one in match.gateways)
        return match.model_copy(update={"gateways": tuple(names)})

    return route.model_copy(
        update={
            "route": targets(route.route),
            "mirrors": targets(route.mirrors),
            "mirror": full(route.mirror) if route.mirror else None,
            "match": tuple(gateways(match) for match in route.match),
        }
    )


def _matches(
    roots: tuple[HTTPMatchRequest, ...], leaves: tuple[HTTPMatchRequest, ...]
) -> tuple[HTTPMatchRequest, ...] | None:
    """Each of the delegate's conditions with those of the root's that it fits; None when one fits none."""
    if not roots or not leaves:
        return roots or leaves
    found: list[HTTPMatchRequest] = []
    for leaf in leaves:
        fitting = [root for root in roots if not _conflict(root, leaf)]
        if not fitting:
            return None
        found += (_both(root, leaf) for root in fitting)
    return tuple(found)


def _both(root: HTTPMatchRequest, leaf: HTTPMatchRequest) -> HTTPMatchRequest:
    changes: dict[str, Any] = {
        name: getattr(leaf, name) or getattr(root, name)
        for name in ("uri", "scheme", "method", "authority", "port", "source_namespace", "gateways", "stat_prefix")
    }
    for name in ("headers", "without_headers", "query_params", "source_labels"):
        changes[name] = {**getattr(root, name), **getattr(leaf, name)}
    return leaf.model_copy(update={**changes, "name": _joined(root.name, leaf.name)})


def _conflict(root: HTTPMatchRequest, leaf: HTTPMatchRequest) -> bool:
    pairs = [(getattr(root, name), getattr(leaf, name)) for name in ("uri", "scheme", "method", "authority")]
    for name in ("headers", "without_headers", "query_params"):
        wanted = getattr(root, name)
        pairs += ((wanted.get(key), value) for key, value in getattr(leaf, name).items())
    labels = root.source_labels
    return (
        any(_text_conflict(*pair) for pair in pairs)
        or root.ignore_uri_case != leaf.ignore_uri_case
        or (root.port > 0 and leaf.port > 0 and root.port != leaf.port)
        or (root.source_namespace != "" and leaf.source_namespace != root.source_namespace)
        or any(labels.get(name, value) != value for name, value in leaf.source_labels.items())
        or (bool(root.gateways) and not set(leaf.gateways) <= set(root.gateways))
    )


def _text_conflict(root: StringMatch | None, leaf: StringMatch | None) -> bool:
    """Whether values that fit `leaf` may lie outside of `root`. A regex only gets along with no condition at all."""
    if root is None or leaf is None:
        return False
    if root.regex or leaf.regex:
        return True
    if root.exact:
        return leaf.exact != root.exact
    if root.prefix:
        inner = leaf.prefix or leaf.exact
        return not (inner and inner.startswith(root.prefix))
    return True
