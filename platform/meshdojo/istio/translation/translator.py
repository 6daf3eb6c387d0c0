"""`Translation`: a snapshot, translated for whoever asks; and `Cache`, which remembers what did not change.

Each resource is cached by the serials of what it is made from. A changed VirtualService makes the route
configurations anew in which its hosts appear, and nothing else; proxies that see the same share everything but their
own listeners and inbound clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from typing import Any, Protocol

from meshdojo.istio.ads import Configuration
from meshdojo.istio.hosts import ClusterName
from meshdojo.istio.proxy import Proxy
from meshdojo.istio.resource import CDS, EDS, LDS, RDS, SDS, Resource
from meshdojo.istio.service import Endpoint, Service
from meshdojo.istio.snapshot import Snapshot
from meshdojo.istio.translation import authorization, endpoints, gateways, inbound, secrets
from meshdojo.istio.translation.authorization import Policies
from meshdojo.istio.translation.clusters import fixed
from meshdojo.istio.translation.clusters import inbound as inbound_clusters
from meshdojo.istio.translation.clusters import outbound as outbound_clusters
from meshdojo.istio.translation.inbound import Inbound
from meshdojo.istio.translation.listeners import gateway as gateway_listeners
from meshdojo.istio.translation.listeners import sidecar_inbound, sidecar_outbound
from meshdojo.istio.translation.routes import gateway as gateway_routes
from meshdojo.istio.translation.routes import sidecar as sidecar_routes
from meshdojo.istio.translation.scope import Scope, scope_key, scope_of
from meshdojo.istio.translation.tls import ROOT_SECRET, WORKLOAD_SECRET
from meshdojo.istio.workload import Workload

Resources = Mapping[str, Resource]


class Authority(Protocol):
    """Issues workload certificates (see `ca`)."""

    @property
    def serial(self) -> int:
        """Changes when certificates have to be issued anew."""
        ...

    @property
    def root(self) -> bytes:
        """The mesh's root certificate, PEM."""
        ...

    def certificate(self, namespace: str, service_account: str) -> secrets.Certificate:
        """The present certificate of a workload; a new one when it is due."""
        ...


class Cache:
    """Values by key, as long as somebody asks for them now and then."""

    def __init__(self) -> None:
        self._now: dict[Hashable, Any] = {}
        self._before: dict[Hashable, Any] = {}
        self.misses = 0

    def get(self, key: Hashable, build: Callable[[], Any]) -> Any:
        """The value remembered for `key`, else what `build` returns."""
        if key in self._now:
            return self._now[key]
        if key in self._before:
            value = self._before[key]
        else:
            self.misses += 1
            value = build()
        self._now[key] = value
        return value

    def age(self) -> None:
        """Forget what has not been asked for since the last but one call."""
        self._before, self._now = self._now, {}


class Translation(Configuration):
    """One snapshot's resources for any proxy. Give the same `cache` to successive translations."""

    def __init__(self, snapshot: Snapshot, authority: Authority, cache: Cache | None = None) -> None:
        self.snapshot = snapshot
        self._authority = authority
        self._cache = cache or Cache()
        self._by_type: dict[str, Callable[[Proxy, Collection[str] | None], Resources]] = {
            CDS: self._clusters,
            EDS: self._endpoints,
            LDS: self._listeners,
            RDS: self._routes,
            SDS: self._secrets,
        }

    @property
    def version(self) -> int:
        return self.snapshot.serial

    def resources(self, proxy: Proxy, type_url: str, names: Collection[str] | None) -> Resources:
        """See `ads.Configuration`."""
        build = self._by_type.get(type_url)
        return build(proxy, names) if build is not None else {}

    def workload(self, proxy: Proxy) -> Workload:
        """The proxy's pod; made up from what the proxy says of itself while the pod is not known."""
        known = self.snapshot.workloads.get((proxy.namespace, proxy.name))
        return known or Workload(
            proxy.namespace, proxy.name, proxy.ip, labels=proxy.labels, service_account=proxy.service_account
        )

    def scope(self, proxy: Proxy) -> Scope:
        """What `proxy` sees of the mesh; proxies that see the same share it."""
        labels = self.workload(proxy).labels
        key = ("scope", scope_key(self.snapshot, proxy, labels))
        scope: Scope = self._cache.get(key, lambda: scope_of(self.snapshot, proxy, labels))
        return scope

    def _clusters(self, proxy: Proxy, names: Collection[str] | None) -> Resources:
        scope = self.scope(proxy)
        key = ("clusters", scope.key, self.snapshot.endpoints_serial)
        found: dict[str, Resource] = dict(self._cache.get(key, lambda: self._outbound_clusters(scope)))
        if proxy.role == "sidecar":
            for one in self._inbound(proxy):
                resource = self._inbound_cluster(scope, proxy, one)
                found[resource.name] = resource
        return found if names is None else _only(found, names)

    def _outbound_clusters(self, scope: Scope) -> Resources:
        found = [self._outbound_cluster(scope, service, *one) for service, one in _outbound(scope)]
        timeout = scope.mesh.connect_timeout
        found += [
            self._encoded(fixed.BLACK_HOLE, (timeout,), lambda: fixed.black_hole(timeout)),
            self._encoded(fixed.PASSTHROUGH, (timeout,), lambda: fixed.passthrough(timeout)),
        ]
        return {one.name: one for one in found}

    def _outbound_cluster(self, scope: Scope, service: Service, port: Any, subset: str) -> Resource:
        known = self.snapshot.endpoints_of(service.host)
        rule = scope.rule(service.host)
        name = str(ClusterName(port.number, service.host, subset))
        # Endpoints count by their identities alone, unless they are part of the cluster (DNS).
        part = known.identities if service.resolution == "endpoints" else known.serial
        key = (service.serial, rule.serials if rule else (), part, scope.mesh.serial)
        origins = (*(rule.origins if rule else ()), _origin(service))
        return self._encoded(name, key, lambda: outbound_clusters.cluster(scope, service, port, subset, known), origins)

    def _inbound_cluster(self, scope: Scope, proxy: Proxy, one: Inbound) -> Resource:
        service = one.service
        rule = scope.rule(service.host) if service else None
        key = (
            proxy.ip,
            one.protocol,
            service.serial if service else 0,
            rule.serials if rule else (),
            scope.mesh.serial,
        )
        name = str(inbound_clusters.name(one))
        origins = rule.origins if rule else ()
        return self._encoded(name, key, lambda: inbound_clusters.cluster(scope, proxy, one), origins)

    def _inbound(self, proxy: Proxy) -> list[Inbound]:
        return inbound.ports(self.snapshot, self.workload(proxy))

    def _endpoints(self, proxy: Proxy, names: Collection[str] | None) -> Resources:
        scope = self.scope(proxy)
        if names is None:
            names = [str(ClusterName(port.number, one.host, subset)) for one, (port, subset) in _outbound(scope)]
        found: dict[str, Resource] = {}
        for text in names:
            name = ClusterName.parse(text)
            service = scope.services.get(name.host) if name is not None else None
            if name is None or service is None or name.direction != "outbound":
                continue
            rule = scope.rule(service.host)
            if outbound_clusters.uses_eds(service, rule, name.port, name.subset):
                found[text] = self._assignment(scope, name, service)
        return found

    def _assignment(self, scope: Scope, name: ClusterName, service: Service) -> Resource:
        rule, known = scope.rule(service.host), self.snapshot.endpoints_of(service.host)
        policies = self.snapshot.peer_authentications.serial
        key = (service.serial, rule.serials if rule else (), known.serial, policies)

        def disabled(one: Endpoint) -> bool:
            port = service.port(name.port)
            pod = Workload(one.namespace, "", one.address, labels=one.labels)
            number = one.ports.get(port.name) if port is not None else None
            return number is not None and _mode(self.snapshot, pod, number) == "DISABLE"

        return self._encoded(
            str(name),
            key,
            lambda: endpoints.load_assignment(name, service, rule, known, disabled),
            rule.origins if rule else (),
            kind=EDS,
        )

    def _listeners(self, proxy: Proxy, names: Collection[str] | None) -> Resources:
        found = self._sidecar_listeners(proxy) if proxy.role == "sidecar" else self._gateway_listeners(proxy)
        listeners = {one.name: one for one in found}
        return listeners if names is None else _only(listeners, names)

    def _sidecar_listeners(self, proxy: Proxy) -> Iterator[Resource]:
        scope, mesh = self.scope(proxy), self.snapshot.mesh
        tcp = tuple(one.serial for one in scope.virtual_services if one.object.spec.tcp or one.object.spec.tls)
        key = (proxy.ip, self.snapshot.services.serial, scope.key[2], tcp, mesh.serial)
        name = sidecar_outbound.NAME
        yield self._encoded(name, key, lambda: sidecar_outbound.listener(scope, proxy), kind=LDS)
        policies = authorization.applying(self.snapshot, self.workload(proxy))
        for one in self._inbound(proxy):
            yield self._inbound_listener(proxy, one, policies)

    def _inbound_listener(self, proxy: Proxy, one: Inbound, policies: Policies) -> Resource:
        mesh = self.snapshot.mesh
        serial = one.service.serial if one.service else 0
        return self._encoded(
            sidecar_inbound.name(one),
            (proxy.ip, one.protocol, one.mode, serial, mesh.serial, policies.serials),
            lambda: sidecar_inbound.listener(mesh, proxy, one, policies),
            (*((_origin(one.service),) if one.service else ()), *policies.origins),
            kind=LDS,
        )

    def _gateway_listeners(self, proxy: Proxy) -> Iterator[Resource]:
        scope, mesh = self.scope(proxy), self.snapshot.mesh
        policies = authorization.applying(self.snapshot, self.workload(proxy))
        for port, servers in gateways.by_port(self._servers(proxy)).items():
            origins = tuple(dict.fromkeys(one.gateway.ref for one in servers))
            serials = tuple(one.gateway.serial for one in servers)
            tcp = tuple(one.serial for one in scope.virtual_services if one.object.spec.tcp or one.object.spec.tls)
            key = (proxy.ip, port, serials, tcp, self.snapshot.services.serial, mesh.serial, policies.serials)
            message = self._cache.get(
                ("gateway listener", key), _keep(gateway_listeners.listener, scope, proxy, port, servers, policies)
            )
            if message is not None:
                yield self._encoded(gateway_listeners.name(port), key, _keep(_same, message), origins, kind=LDS)

    def _servers(self, proxy: Proxy) -> list[gateways.GatewayServer]:
        return gateways.servers(self.snapshot, self.workload(proxy))

    def _routes(self, proxy: Proxy, names: Collection[str] | None) -> Resources:
        scope = self.scope(proxy)
        if proxy.role == "router":
            return self._gateway_routes(scope, proxy, names)
        labels = self.workload(proxy).labels
        wanted = sidecar_routes.names(scope) if names is None else names
        return {name: self._sidecar_route(scope, name, labels) for name in wanted}

    def _sidecar_route(self, scope: Scope, name: str, labels: Mapping[str, str]) -> Resource:
        parsed = sidecar_routes.Name.parse(name)
        entries = sidecar_routes.entries(scope, parsed) if parsed else []
        key = sidecar_routes.inputs(scope, parsed, labels) if parsed else ()
        return self._encoded(
            name,
            key,
            lambda: sidecar_routes.configuration(scope, name, labels),
            tuple(one.config.ref for one in entries if one.config),
            kind=RDS,
        )

    def _gateway_routes(self, scope: Scope, proxy: Proxy, names: Collection[str] | None) -> Resources:
        by_name: dict[str, list[gateways.GatewayServer]] = {}
        for one in self._servers(proxy):
            if one.is_http:
                by_name.setdefault(one.route_name, []).append(one)
        wanted = by_name if names is None else names
        return {name: self._gateway_route(scope, name, by_name.get(name, [])) for name in wanted}

    def _gateway_route(self, scope: Scope, name: str, servers: list[gateways.GatewayServer]) -> Resource:
        origins = (config.ref for pairs in gateway_routes.bindings(scope, servers).values() for _, config in pairs)
        return self._encoded(
            name,
            gateway_routes.inputs(scope, servers),
            lambda: gateway_routes.configuration(scope, name, servers),
            tuple(dict.fromkeys(origins)),
            kind=RDS,
        )

    def _secrets(self, proxy: Proxy, names: Collection[str] | None) -> Resources:
        found = {name: self._secret(proxy, name) for name in names or (WORKLOAD_SECRET, ROOT_SECRET)}
        return {name: one for name, one in found.items() if one is not None}

    def _secret(self, proxy: Proxy, name: str) -> Resource | None:
        authority = self._authority
        pod = self.workload(proxy)
        if name == ROOT_SECRET:
            return self._encoded(name, (authority.serial,), lambda: secrets.root(authority.root), kind=SDS)
        if name == WORKLOAD_SECRET:
            certificate = authority.certificate(pod.namespace, pod.service_account)
            return self._encoded(name, (certificate,), lambda: secrets.workload(certificate), kind=SDS)
        message = secrets.credential(name, self.snapshot.secrets, proxy.namespace)
        if message is None:
            return None
        return self._encoded(name, (message.SerializeToString(deterministic=True),), lambda: message, kind=SDS)

    def _encoded(
        self,
        name: str,
        key: tuple[object, ...],
        build: Callable[[], Any],
        origins: tuple[str, ...] = (),
        *,
        kind: str = CDS,
    ) -> Resource:
        resource: Resource = self._cache.get((kind, name, key), lambda: Resource.encode(name, build(), origins))
        return resource


def _outbound(scope: Scope) -> Iterator[tuple[Service, tuple[Any, str]]]:
    for service in scope.services.values():
        for one in outbound_clusters.names(scope, service):
            yield service, one


def _mode(snapshot: Snapshot, pod: Workload, port: int) -> str:
    return inbound.mode(inbound.applying(snapshot, pod), port)


def _only(found: Resources, names: Collection[str]) -> Resources:
    return {name: found[name] for name in names if name in found}


def _origin(service: Service) -> str:
    kind = "ServiceEntry" if service.external else "Service"
    return f"{kind}/{service.namespace}/{service.name}"


def _keep(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    return lambda: function(*arguments)


def _same(message: Any) -> Any:
    return message
