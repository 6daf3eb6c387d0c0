"""Discovery: which groups, versions and resources are served.

Two forms: aggregated (one APIGroupDiscoveryList each for /api and /apis, which kubectl asks for) and the older one
document per group and version (the Python client, ``kubectl create token``).
Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Protocol

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.resources import Catalogue, Resource, group_version

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Served(Protocol):
    """What discovery tells of: a `Catalogue`, or several."""

    def groups(self) -> dict[str, list[str]]:
        """Served versions by group, preferred first."""
        ...

    def in_group(self, group: str, version: str) -> list[Resource]:
        """The resources of one group version."""
        ...


class Aggregated:
    """Catalogues behind one address, as a real API server aggregates others (``kube-aggregator``)."""

    def __init__(self, *catalogues: Catalogue) -> None:
        self._catalogues = catalogues

    def groups(self) -> dict[str, list[str]]:
        """See `Served`."""
        return {group: versions for one in self._catalogues for group, versions in one.groups().items()}

    def in_group(self, group: str, version: str) -> list[Resource]:
        """See `Served`."""
        return [resource for one in self._catalogues for resource in one.in_group(group, version)]


_OBJECT_VERBS = ("get", "patch", "update")
_STREAM_VERBS = ("create", "get")
_PROXY_VERBS = ("create", "delete", "get", "patch", "update")
# Subresource -> ((group, version, kind) of its objects or None for the resource's own, verbs).
_SUBRESOURCES: dict[str, tuple[tuple[str, str, str] | None, tuple[str, ...]]] = {
    "status": (None, _OBJECT_VERBS),
    "finalize": (None, ("update",)),
    "approval": (None, _OBJECT_VERBS),
    "ephemeralcontainers": (None, _OBJECT_VERBS),
    "resize": (None, _OBJECT_VERBS),
    "log": (None, ("get",)),
    "scale": (("autoscaling", "v1", "Scale"), _OBJECT_VERBS),
    "eviction": (("policy", "v1", "Eviction"), ("create",)),
    "binding": (("", "v1", "Binding"), ("create",)),
    "token": (("authentication.k8s.io", "v1", "TokenRequest"), ("create",)),
    "exec": (("", "v1", "PodExecOptions"), _STREAM_VERBS),
    "attach": (("", "v1", "PodAttachOptions"), _STREAM_VERBS),
    "portforward": (("", "v1", "PodPortForwardOptions"), _STREAM_VERBS),
}


def aggregated_core(catalogue: Served) -> Object:
    """The answer to /api with `AGGREGATED` in Accept."""
    return _aggregated(catalogue, [""])


def aggregated_groups(catalogue: Served) -> Object:
    """The answer to /apis with `AGGREGATED` in Accept."""
    return _aggregated(catalogue, [group for group in catalogue.groups() if group])


def core_versions(address: str) -> Object:
    """The answer to /api: APIVersions. `address` is the server's "host:port"."""
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}


def group_list(catalogue: Served) -> Object:
    """The answer to /apis: APIGroupList."""
    groups = [_group(name, versions) for name, versions in catalogue.groups().items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(catalogue: Served, name: str) -> Object | None:
    """The answer to /apis/GROUP: APIGroup; None for a group that is not served."""
    versions = catalogue.groups().get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)} if name and versions else None


def resource_list(catalogue: Served, name: str, version: str) -> Object | None:
    """The answer to /api/VERSION (group '') and /apis/GROUP/VERSION: APIResourceList; None when not served."""
    served = _sorted(catalogue, name, version)
    if not served:
        return None
    entries = [entry for resource in served for entry in _entries(resource)]
    body = {"kind": "APIResourceList", "groupVersion": group_version(name, version), "resources": entries}
    return body if not name else {"apiVersion": "v1", **body}


def _sorted(catalogue: Served, name: str, version: str) -> list[Resource]:
    return sorted(catalogue.in_group(name, version), key=lambda resource: resource.plural)


def _group(name: str, versions: list[str]) -> Object:
    entries = [{"groupVersion": group_version(name, version), "version": version} for version in versions]
    return {"name": name, "versions": entries, "preferredVersion": entries[0]}


def _aggregated(catalogue: Served, groups: list[str]) -> Object:
    served = catalogue.groups()
    items = [_aggregated_group(catalogue, name, served[name]) for name in groups if name in served]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _aggregated_group(catalogue: Served, name: str, versions: list[str]) -> Object:
    return {
        "metadata": {"name": name} if name else {},
        "versions": [
            {
                "version": version,
                "resources": [_aggregated_resource(resource) for resource in _sorted(catalogue, name, version)],
                "freshness": "Current",
            }
            for version in versions
        ],
    }


def _aggregated_resource(resource: Resource) -> Object:
    entry: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": _response_kind(resource, None),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [_aggregated_subresource(resource, name) for name in sorted(resource.subresources)]
    return entry


def _aggregated_subresource(resource: Resource, name: str) -> Object:
    kind, verbs = _subresource(resource, name)
    return {"subresource": name, "responseKind": _response_kind(resource, kind), "verbs": list(verbs)}


def _response_kind(resource: Resource, kind: tuple[str, str, str] | None) -> Object:
    """The kind of the answers; the real server leaves group and version of its own kinds out."""
    if kind is not None:
        group, version, name = kind
        return {"group": group, "version": version if group else "", "kind": name}
    if resource.crd is not None:
        return {"group": resource.group, "version": resource.version, "kind": resource.kind}
    return {"group": "", "version": "", "kind": resource.kind}


def _subresource(resource: Resource, name: str) -> tuple[tuple[str, str, str] | None, tuple[str, ...]]:
    if name == "proxy":
        return ("", "v1", f"{resource.kind}ProxyOptions"), _PROXY_VERBS
    return _SUBRESOURCES[name]


def _entries(resource: Resource) -> list[Object]:
    entry: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if "watch" in resource.verbs:  # what is stored
        entry["storageVersionHash"] = _storage_version_hash(resource)
    return [entry, *(_subresource_entry(resource, name) for name in sorted(resource.subresources))]


def _subresource_entry(resource: Resource, name: str) -> Object:
    kind, verbs = _subresource(resource, name)
    entry: dict[str, Any] = {
        "name": f"{resource.plural}/{name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": kind[2] if kind else resource.kind,
        "verbs": list(verbs),
    }
    if kind and kind[0]:
        entry |= {"group": kind[0], "version": kind[1]}
    return entry


def _storage_version_hash(resource: Resource) -> str:
    """Eight bytes in base64 that change with the version in which objects are stored."""
    stored = f"{resource.group}/{resource.storage_version}/{resource.kind}"
    return base64.b64encode(hashlib.sha256(stored.encode()).digest()[:8]).decode()
