"""Finds out which resources a cluster serves, one API group at a time, and remembers it.

Groups are asked for (``/apis/GROUP``, then ``/apis/GROUP/VERSION``) the first time one of their names is used, and
once more when a name is unknown: a CRD may have come since.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.resources import BUILT_IN, Name, Resource

# One answer for all groups, in place of two for each (Kubernetes 1.30 and later).
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


class Fetch(Protocol):
    """GETs a path as JSON, with this Accept header. Raises StatusError."""

    async def __call__(self, path: str, accept: str = ..., /) -> dict[str, Any]: ...


class Discovery:
    """Resource names and kinds of one cluster. `fetch` GETs a path as JSON and raises StatusError 404."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._served: dict[str, list[Resource]] = {}

    async def resource(self, resource: str) -> Resource:
        """The resource of that name. Raises StatusError 404 when the cluster does not serve it."""
        name = Name.parse(resource)
        found = await self._find(name.group, lambda one: _is(one, name))
        if found is None:
            raise StatusError(404, "NotFound", f'the server doesn\'t have a resource type "{resource}"')
        return found

    async def kind(self, api_version: str, kind: str) -> Resource:
        """The resource that serves a manifest's kind. Raises StatusError 404, in kubectl's words."""
        group = api_version.rpartition("/")[0]
        found = await self._find(group, lambda one: one.api_version == api_version and one.kind == kind)
        if found is None:
            raise StatusError(404, "NotFound", f'no matches for kind "{kind}" in version "{api_version}"')
        return found

    async def all(self) -> list[Resource]:
        """Everything the cluster serves now, each resource in its preferred version only."""
        core, groups = await asyncio.gather(*(self._fetch(root, AGGREGATED) for root in ("/api", "/apis")))
        if "items" in core and "items" in groups:
            served = [list(_aggregated(group)) for group in [*core["items"], *groups["items"]]]
        else:  # an older server gives its plain answer
            names = ["", *(entry["name"] for entry in groups["groups"])]
            served = await asyncio.gather(*map(self._refresh, names))
        found: dict[str, Resource] = {}
        for resources in served:
            for one in resources:
                found.setdefault(one.name, one)
        return list(found.values())

    def forget(self, group: str) -> None:
        """Ask again for this group the next time (a path of it vanished)."""
        self._served.pop(group, None)

    async def _find(self, group: str, matches: Callable[[Resource], bool]) -> Resource | None:
        known = next(filter(matches, [*BUILT_IN, *self._served.get(group, ())]), None)
        return known or next(filter(matches, await self._refresh(group)), None)

    async def _refresh(self, group: str) -> list[Resource]:
        """The resources of a group, the preferred version first; [] if there is no such group."""
        served: list[Resource] = []
        try:
            for version in await self._versions(group):
                path = f"/apis/{group}/{version}" if group else f"/api/{version}"
                served += _resources(group, version, await self._fetch(path))
        except StatusError as error:
            if error.code != 404:
                raise
        self._served[group] = served
        return served

    async def _versions(self, group: str) -> list[str]:
        if not group:
            return ["v1"]
        body = await self._fetch(f"/apis/{group}")
        preferred = body.get("preferredVersion", {}).get("version")
        versions = [entry["version"] for entry in body["versions"]]
        return sorted(versions, key=lambda version: version != preferred)


def _resources(group: str, version: str, body: dict[str, Any]) -> Iterable[Resource]:
    for entry in body["resources"]:
        if "/" not in entry["name"]:
            verbs = tuple(entry.get("verbs") or ())
            yield Resource(group, version, entry["name"], entry["kind"], entry["namespaced"], verbs)


def _aggregated(group: dict[str, Any]) -> Iterable[Resource]:
    """The resources of one group of an APIGroupDiscoveryList, the preferred version first."""
    for version in group["versions"]:
        for entry in version["resources"]:
            kind = (entry.get("responseKind") or {}).get("kind", "")
            namespaced, verbs = entry["scope"] == "Namespaced", tuple(entry.get("verbs") or ())
            name = group["metadata"].get("name", "")
            yield Resource(name, version["version"], entry["resource"], kind, namespaced, verbs)


def _is(one: Resource, name: Name) -> bool:
    return one.plural == name.plural and one.group == name.group and name.version in ("", one.version)
