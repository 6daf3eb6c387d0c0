"""`State`: what the events of informers add up to; it makes a `Snapshot` after each change.

Only the indexes that an event touches are built anew; the others are shared by the next snapshot.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from meshdojo.istio import service as services
from meshdojo.istio import service_entry, workload
from meshdojo.istio.configs import KINDS, Config, Configs
from meshdojo.istio.delegation import Delegation
from meshdojo.istio.mesh import MeshConfig
from meshdojo.istio.models.base import Kind, NotParsed
from meshdojo.istio.models.service_entry import ServiceEntry
from meshdojo.istio.models.virtual_service import VirtualService
from meshdojo.istio.service import Endpoint, Service
from meshdojo.istio.snapshot import Endpoints, Key, Object, Services, Snapshot
from meshdojo.istio.workload import Workload

log = logging.getLogger("model")
SERVICE_LABEL = "kubernetes.io/service-name"


class State:
    """Collects events, and makes snapshots of what they add up to."""

    def __init__(self, mesh: MeshConfig | None = None) -> None:
        self._serials = itertools.count(1)
        self._mesh = mesh or MeshConfig()
        self._services: dict[Key, Service] = {}
        self._entries: dict[Key, tuple[Service, ...]] = {}
        self._slices: dict[Key, dict[str, Object]] = {}  # of a service, by the slice's name
        self._workloads: dict[Key, Workload] = {}
        self._secrets: dict[Key, Object] = {}
        self._configs: dict[str, dict[Key, Config[Any]]] = {kind.TYPE.kind: {} for kind in KINDS}
        self._endpoints: dict[str, Endpoints] = {}
        self._delegation = Delegation(lambda: next(self._serials))
        self._stale_hosts: set[str] = set()
        self._stale: set[str] = {"services", "workloads", "endpoints", "secrets", *self._configs}
        self._last = Snapshot()
        self._apply: dict[str, Callable[[Object | None, Object | None], None]] = {
            "services": self._service,
            "endpointslices.discovery.k8s.io": self._slice,
            "pods": self._pod,
            "secrets": self._secret,
        }
        for kind in KINDS:
            self._apply[kind.TYPE.resource] = self._config_of(kind)

    @property
    def resources(self) -> tuple[str, ...]:
        """The resources whose events `apply` takes."""
        return tuple(self._apply)

    @property
    def changed(self) -> bool:
        """Whether `snapshot` would return a new one."""
        return bool(self._stale or self._stale_hosts)

    def apply(self, resource: str, old: Object | None, new: Object | None) -> None:
        """An object came (old None), changed, or went (new None)."""
        self._apply[resource](old, new)

    def add(self, resource: str, objects: Iterable[Object]) -> None:
        """Apply many objects as new ones."""
        for obj in objects:
            self.apply(resource, None, obj)

    def set_mesh(self, text: str) -> None:
        """The YAML of the config map ``istio``."""
        parsed = MeshConfig.parse(text, next(self._serials))
        if parsed != self._mesh:
            self._mesh = parsed
            self._stale.add("mesh")

    def snapshot(self) -> Snapshot:
        """The present state; the same object as before when nothing changed."""
        if not self.changed:
            return self._last
        last, serial = self._last, next(self._serials)
        found = self._index_services(serial) if "services" in self._stale else last.services
        self._refresh_endpoints(found)
        configs = {name: self._configs_now(name, serial) for name in self._configs}
        self._last = Snapshot(
            serial=serial,
            mesh=self._mesh,
            services=found,
            endpoints=dict(self._endpoints),
            endpoints_serial=serial if "endpoints" in self._stale else last.endpoints_serial,
            workloads=dict(self._workloads) if "workloads" in self._stale else last.workloads,
            workloads_serial=serial if "workloads" in self._stale else last.workloads_serial,
            virtual_services=configs["VirtualService"],
            destination_rules=configs["DestinationRule"],
            gateways=configs["Gateway"],
            sidecars=configs["Sidecar"],
            peer_authentications=configs["PeerAuthentication"],
            authorization_policies=configs["AuthorizationPolicy"],
            secrets=dict(self._secrets) if "secrets" in self._stale else last.secrets,
            secrets_serial=serial if "secrets" in self._stale else last.secrets_serial,
            versions={one.ref: one.resource_version for kind in self._configs.values() for one in kind.values()},
        )
        self._stale.clear()
        return self._last

    def _configs_now(self, name: str, serial: int) -> Configs[Any]:
        last: dict[str, Configs[Any]] = {
            "VirtualService": self._last.virtual_services,
            "DestinationRule": self._last.destination_rules,
            "Gateway": self._last.gateways,
            "Sidecar": self._last.sidecars,
            "PeerAuthentication": self._last.peer_authentications,
            "AuthorizationPolicy": self._last.authorization_policies,
        }
        if name not in self._stale and name in last:
            return last[name]
        found: Iterable[Config[Any]] = sorted(self._configs[name].values(), key=lambda one: one.age)
        if name == VirtualService.TYPE.kind:
            found = self._delegation.merged(found)
        return Configs(tuple(found), serial)

    def _service(self, old: Object | None, new: Object | None) -> None:
        key = _key(new or old or {})
        before = self._services.get(key)
        after = services.from_kubernetes(new) if new is not None else None
        if before == after:
            return
        if after is None:
            self._services.pop(key, None)
        else:
            self._services[key] = _stamped(after, next(self._serials))
        self._stale.add("services")
        self._stale_hosts.update(one.host for one in (before, after) if one is not None)

    def _entry(self, key: Key, config: Config[ServiceEntry] | None) -> None:
        before = self._entries.pop(key, ())
        after: tuple[Service, ...] = ()
        if config is not None:
            after = tuple(_stamped(one, config.serial) for one in service_entry.services(config.object))
            self._entries[key] = after
        self._stale.add("services")
        self._stale_hosts.update(one.host for one in (*before, *after))

    def _slice(self, old: Object | None, new: Object | None) -> None:
        obj = new or old or {}
        namespace, name = _key(obj)
        owner = (obj["metadata"].get("labels") or {}).get(SERVICE_LABEL)
        if not owner:
            return
        slices = self._slices.setdefault((namespace, owner), {})
        if new is None:
            slices.pop(name, None)
        else:
            slices[name] = new
        service = self._services.get((namespace, owner))
        if service is not None:
            self._stale_hosts.add(service.host)

    def _pod(self, old: Object | None, new: Object | None) -> None:
        key = _key(new or old or {})
        before = self._workloads.get(key)
        after = workload.from_pod(new) if new is not None else None
        if before == after:
            return
        if after is None:
            del self._workloads[key]
        else:
            self._workloads[key] = after
        self._stale.add("workloads")
        # Labels and identity of endpoints come from their pods.
        self._stale_hosts.update(one.host for one in self._services.values() if one.namespace == key[0])
        self._stale_hosts.update(one.host for entry in self._entries.values() for one in entry if one.selector)

    def _secret(self, old: Object | None, new: Object | None) -> None:
        key = _key(new or old or {})
        if new is None:
            self._secrets.pop(key, None)
        else:
            self._secrets[key] = new
        self._stale.add("secrets")

    def _config_of(self, kind: type[Kind]) -> Callable[[Object | None, Object | None], None]:
        def apply(old: Object | None, new: Object | None) -> None:
            self._config(kind, old, new)

        return apply

    def _config(self, kind: type[Kind], old: Object | None, new: Object | None) -> None:
        key, configs = _key(new or old or {}), self._configs[kind.TYPE.kind]
        config = self._parsed(kind, new) if new is not None else None
        before = configs.pop(key, None)
        if config is not None:
            configs[key] = config
        if config is None and before is None:
            return
        self._stale.add(kind.TYPE.kind)
        if kind is ServiceEntry:
            self._entry(key, config)

    def _parsed(self, kind: type[Kind], obj: Object) -> Config[Any] | None:
        try:
            parsed = kind.parse(obj)
        except NotParsed as error:  # the API refuses these; an object older than a stricter version may be left
            log.warning("%s %s/%s is ignored: %s", kind.TYPE.kind, *_key(obj), error)
            return None
        return Config(parsed, next(self._serials), str(obj["metadata"].get("resourceVersion", "")))

    def _index_services(self, serial: int) -> Services:
        kubernetes = sorted(self._services.values(), key=lambda one: (one.created, one.host))
        entries = sorted((one for entry in self._entries.values() for one in entry), key=lambda one: one.created)
        by_host: dict[str, Service] = {}
        for one in (*kubernetes, *entries):
            by_host.setdefault(one.host, one)
        return Services(by_host, serial)

    def _refresh_endpoints(self, found: Services) -> None:
        for host in self._stale_hosts:
            service = found.by_host.get(host)
            before = self._endpoints.get(host)
            items = tuple(sorted(self._endpoints_of(service), key=lambda one: one.address)) if service else ()
            if before is not None and before.items == items and service is not None:
                continue
            self._stale.add("endpoints")
            if service is None:
                self._endpoints.pop(host, None)
            else:
                self._endpoints[host] = Endpoints(items, next(self._serials))
        self._stale_hosts.clear()

    def _endpoints_of(self, service: Service) -> Iterable[Endpoint]:
        if service.external:
            entry = self._configs["ServiceEntry"].get((service.namespace, service.name))
            return service_entry.endpoints(entry.object, service, self._workloads.values()) if entry else ()
        slices = self._slices.get((service.namespace, service.name), {}).values()
        return itertools.chain.from_iterable(map(self._slice_endpoints, slices))

    def _slice_endpoints(self, obj: Object) -> Iterator[Endpoint]:
        ports = {port.get("name") or "": port["port"] for port in obj.get("ports") or () if port.get("port")}
        for one in obj.get("endpoints") or ():
            if (one.get("conditions") or {}).get("ready") is False:
                continue
            target = one.get("targetRef") or {}
            pod = self._workloads.get((obj["metadata"]["namespace"], target.get("name", "")))
            for address in one.get("addresses") or ():
                yield _endpoint(address, ports, pod if target.get("kind") == "Pod" else None)


def _endpoint(address: str, ports: Mapping[str, int], pod: Workload | None) -> Endpoint:
    return Endpoint(address, ports) if pod is None else Endpoint.of_pod(address, ports, pod)


def _stamped(one: Service, serial: int) -> Service:
    return replace(one, serial=serial)


def _key(obj: Object) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
