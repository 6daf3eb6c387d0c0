"""Manifests in the editor: what the page needs of a cluster, and the part of its OpenAPI that describes one kind.

The schema comes from the cluster itself (on the embedded mesh: from the very models that validate), so the editor
completes and explains what this Kubernetes and this Istio know, no more and no less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from meshdojo.errors import UserError

_PREFIX = "#/components/schemas/"
# What the editor offers to open.
KINDS = (
    "virtualservices.networking.istio.io",
    "destinationrules.networking.istio.io",
    "gateways.networking.istio.io",
    "serviceentries.networking.istio.io",
    "sidecars.networking.istio.io",
    "peerauthentications.security.istio.io",
    "authorizationpolicies.security.istio.io",
    "deployments.apps",
    "services",
)
HIDDEN_NAMESPACES = frozenset(
    {"kube-system", "kube-public", "kube-node-lease", "local-path-storage", "meshdojo-probe", "meshdojo-outside"}
)


class ManifestError(UserError):
    """Nothing came of it; the text says why."""


@dataclass(frozen=True)
class Applied:
    """What came of a document: kubectl's words, and its complaints and warnings."""

    ok: bool
    said: str
    complaints: str


@dataclass(frozen=True)
class Difference:
    """An object as YAML, before ('' when it is not there) and after; `complaints` when it would be refused."""

    before: str
    after: str
    complaints: str


class Manifests(Protocol):
    """What the editor asks of the learner's environment. Every method raises UserError when that is not there."""

    async def apply(self, document: str) -> Applied:
        """Apply a document, server side, as the editor's owner of fields."""
        ...

    async def check(self, document: str) -> Applied:
        """The same as a dry run: what would be refused, and where."""
        ...

    async def difference(self, document: str) -> Difference:
        """What applying it would change, beside what is there."""
        ...

    async def read(self, kind: str, namespace: str, name: str) -> str:
        """An object as YAML, without what a server adds. Raises `MeshError` when it is gone."""
        ...

    async def names(self, kinds: Sequence[str]) -> list[tuple[str, str, str]]:
        """The objects of these kinds: (kind, namespace, name)."""
        ...

    async def document(self, path: str) -> bytes:
        """A document of the API's description, as the server has it (for completion)."""
        ...


def path_of(api_version: str) -> str:
    """Where the OpenAPI document of a group version is: 'apps/v1' -> '/openapi/v3/apis/apps/v1'."""
    return f"/openapi/v3/{'apis' if '/' in api_version else 'api'}/{api_version}"


def schema_of(document: dict[str, Any], api_version: str, kind: str) -> dict[str, Any]:
    """``{root: NAME, schemas: {NAME: SCHEMA}}``: the kind's schema, and those that it refers to.

    Raises ManifestError when the document has no such kind.
    """
    group, _, version = api_version.rpartition("/")
    wanted = {"group": group, "version": version, "kind": kind}
    schemas = document.get("components", {}).get("schemas", {})
    for name, schema in schemas.items():
        if wanted in schema.get("x-kubernetes-group-version-kind", ()):
            return {"root": name, "schemas": _reachable(name, schemas)}
    raise ManifestError(f"{api_version} has no kind {kind!r} in this cluster.")


def _reachable(root: str, schemas: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    ahead = [root]
    while ahead:
        name = ahead.pop()
        if name not in found and name in schemas:
            found[name] = schemas[name]
            ahead.extend(_references(schemas[name]))
    return found


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith(_PREFIX):
            yield reference.removeprefix(_PREFIX)
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)
