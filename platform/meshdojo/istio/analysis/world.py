"""All objects that analysis looks at, from a cluster and from files, indexed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from meshdojo.istio import hosts
from meshdojo.istio.analysis.message import Origin
from meshdojo.istio.analysis.source import Place
from meshdojo.istio.models.base import Kind, NotParsed
from meshdojo.istio.models.kinds import kind_of
from meshdojo.istio.models.service_entry import ServiceEntry

JSON = dict[str, Any]
K = TypeVar("K", bound=Kind)
_WORKLOADS = ("DaemonSet", "Deployment", "StatefulSet")
SYSTEM = frozenset({"kube-system", "kube-public", "kube-node-lease", "local-path-storage", "istio-system"})


@dataclass(frozen=True)
class Item:
    """A manifest, and where it was read (None: it is the cluster's)."""

    manifest: JSON
    place: Place | None = None

    @property
    def metadata(self) -> JSON:
        """The manifest's metadata, {} for none."""
        return self.manifest.get("metadata") or {}

    @property
    def name(self) -> str:
        """Its name, '' for none."""
        return str(self.metadata.get("name", ""))

    @property
    def namespace(self) -> str:
        """Its namespace, '' for cluster-scoped kinds."""
        return str(self.metadata.get("namespace", ""))

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels, {} for none."""
        return self.metadata.get("labels") or {}

    @property
    def spec(self) -> JSON:
        """Its spec, {} for none."""
        return self.manifest.get("spec") or {}

    @property
    def kind(self) -> str:
        """Its kind, '' for a manifest that names none."""
        return str(self.manifest.get("kind", ""))

    @property
    def origin(self) -> Origin:
        """Where a message about it points to."""
        return self.at()

    def at(self, *path: str | int) -> Origin:
        """Where a message about one of its fields points to."""
        reference = self.place.reference(path) if self.place else ""
        return Origin(self.kind, self.name, self.namespace, reference)


@dataclass(frozen=True)
class World:
    """Objects by kind. `complete` says that all of the cluster's Kubernetes objects are here."""

    items: tuple[Item, ...] = ()
    complete: bool = False
    _parsed: dict[str, list[tuple[Item, Kind]]] = field(default_factory=dict)

    @classmethod
    def of(cls, cluster: Iterable[JSON], files: Iterable[tuple[Place, JSON]] = (), complete: bool = True) -> World:
        """Objects of files take the place of the cluster's with the same name."""
        found: dict[tuple[str, str, str, str], Item] = {}
        own: list[tuple[Place | None, JSON]] = [(None, one) for one in cluster]
        for place, manifest in (*own, *files):
            item = Item(manifest, place)
            group = str(manifest.get("apiVersion", "")).rpartition("/")[0]
            found[group, item.kind, item.namespace, item.name] = item
        return cls(tuple(found.values()), complete)

    def all(self, kind: str) -> list[Item]:
        """Objects of one of Kubernetes' kinds."""
        return self._by_kind.get(kind, [])

    @cached_property
    def _by_kind(self) -> dict[str, list[Item]]:
        found: dict[str, list[Item]] = {}
        for item in self.items:
            if kind_of(item.manifest) is None:
                found.setdefault(item.kind, []).append(item)
        return found

    def parsed(self, kind: type[K]) -> Iterator[tuple[Item, K]]:
        """Objects of one of Istio's kinds; those that cannot be parsed are left out."""
        for item in self.items:
            if kind_of(item.manifest) is kind:
                try:
                    yield item, kind.parse(item.manifest)
                except NotParsed:
                    continue

    @cached_property
    def services(self) -> dict[str, Item]:
        """Services by full host name."""
        return {f"{one.name}.{one.namespace}.svc.cluster.local": one for one in self.all("Service")}

    @cached_property
    def external_hosts(self) -> dict[str, set[int]]:
        """Hosts of ServiceEntries and their ports."""
        found: dict[str, set[int]] = {}
        for _, entry in self.parsed(ServiceEntry):
            for host in entry.spec.hosts:
                found.setdefault(host, set()).update(port.number for port in entry.spec.ports)
        return found

    def ports(self, host: str, namespace: str) -> list[int] | None:
        """The ports of a host as written in an object of `namespace`; None for a host that is not known."""
        full = hosts.resolve(host, namespace)
        service = self.services.get(full)
        if service is not None:
            return [int(port["port"]) for port in service.spec.get("ports") or ()]
        best = hosts.most_specific(self.external_hosts, full)
        return sorted(self.external_hosts[best]) if best is not None else None

    def pods(self, labels: Mapping[str, str], namespace: str = "") -> list[Item]:
        """Pods with these labels, in a namespace or in all of them; pods that workloads of files would make, too."""
        return [
            pod
            for pod in (*self.all("Pod"), *self._templates)
            if labels.items() <= pod.labels.items() and namespace in ("", pod.namespace)
        ]

    @cached_property
    def _templates(self) -> list[Item]:
        found = []
        for owner in (item for kind in _WORKLOADS for item in self.all(kind)):
            template = owner.spec.get("template") or {}
            metadata = {**(template.get("metadata") or {}), "name": owner.name, "namespace": owner.namespace}
            found.append(Item({"kind": "Pod", "metadata": metadata, "spec": template.get("spec") or {}}, owner.place))
        return found
