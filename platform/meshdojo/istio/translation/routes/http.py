"""One HTTP route of a VirtualService -> Envoy routes, one per match that applies here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from meshdojo.istio import hosts
from meshdojo.istio.configs import Config
from meshdojo.istio.hosts import ClusterName
from meshdojo.istio.messages import (
    Decorator,
    HeaderValue,
    HeaderValueOption,
    PreviousHostsPredicate,
    RedirectAction,
    RegexMatchAndSubstitute,
    RegexMatcher,
    RetryPolicy,
    Route,
    RouteAction,
    WeightedCluster,
)
from meshdojo.istio.models.common import Destination
from meshdojo.istio.models.destination_rule import ConsistentHashLB
from meshdojo.istio.models.virtual_service import (
    HeaderOperations,
    Headers,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRetry,
    HTTPRoute,
    HTTPRouteDestination,
    VirtualService,
)
from meshdojo.istio.translation import build
from meshdojo.istio.translation.routes import faults
from meshdojo.istio.translation.routes.matching import is_catch_all, route_match
from meshdojo.istio.translation.scope import Rule, Scope

RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled"
STATUS_CODES = "retriable-status-codes"
_HOST_HEADERS = ("host", ":authority")
_REDIRECTS = {
    301: RedirectAction.MOVED_PERMANENTLY,
    302: RedirectAction.FOUND,
    303: RedirectAction.SEE_OTHER,
    307: RedirectAction.TEMPORARY_REDIRECT,
    308: RedirectAction.PERMANENT_REDIRECT,
}


@dataclass(frozen=True)
class Place:
    """Where routes are built for: the client's scope and labels, the gateway (``mesh`` or ``NAMESPACE/NAME``), the
    port that the client called (`port`) and the one that routes without a port lead to."""

    scope: Scope
    gateway: str
    port: int
    labels: Mapping[str, str] = field(default_factory=dict)


def routes(config: Config[VirtualService], place: Place) -> Iterator[Any]:
    """All routes of a VirtualService that apply at `place`, up to the first that every request fits."""
    for route in config.object.spec.http:
        matches: list[HTTPMatchRequest | None] = [one for one in route.match if applies(one, config, place)]
        if not route.match:
            matches = [None]
        for match in matches:
            found = build_route(config, route, match, place)
            yield found
            if is_catch_all(found):
                return


def applies(match: HTTPMatchRequest, config: Config[VirtualService], place: Place) -> bool:
    """Whether the parts of a match that are not about the request itself hold here."""
    if match.gateways and place.gateway not in (gateway_name(one, config.namespace) for one in match.gateways):
        return False
    if match.port and match.port != place.port:
        return False
    if place.gateway != hosts.MESH:
        return True
    if any(place.labels.get(name) != value for name, value in match.source_labels.items()):
        return False
    return not match.source_namespace or match.source_namespace == place.scope.namespace


def gateway_name(name: str, namespace: str) -> str:
    """``mesh``, or ``NAMESPACE/NAME`` for a gateway named in an object of `namespace`."""
    if name == hosts.MESH or "/" in name:
        return name
    return f"{namespace}/{name}"


def build_route(config: Config[VirtualService], route: HTTPRoute, match: HTTPMatchRequest | None, place: Place) -> Any:
    """The Envoy route for one match."""
    found = Route(match=route_match(match), name=_name(route, match))
    path = f"/apis/networking.istio.io/v1/namespaces/{config.namespace}/virtual-service/{config.name}"
    found.metadata.CopyFrom(build.metadata(istio={"config": path}))
    _headers(found, route.headers)
    if route.redirect is not None:
        found.redirect.CopyFrom(_redirect(route.redirect, place.port))
    elif route.direct_response is not None:
        found.direct_response.CopyFrom(faults.direct_response(route.direct_response))
    else:
        _forward(found, config, route, place)
    if route.fault is not None:
        found.typed_per_filter_config[faults.FAULT_FILTER].CopyFrom(build.packed(faults.fault(route.fault)))
    if route.cors_policy is not None:
        found.typed_per_filter_config[faults.CORS_FILTER].CopyFrom(build.packed(faults.cors(route.cors_policy)))
    found.decorator.CopyFrom(Decorator(operation=operation(found, config.name, place.port)))
    return found


def _name(route: HTTPRoute, match: HTTPMatchRequest | None) -> str:
    return ".".join(part for part in (route.name, match.name if match else "") if part)


def operation(route: Any, name: str, port: int) -> str:
    """What the request is called in traces and in x-envoy-decorator-operation: ``HOST:PORT/PATH*``."""
    match = route.match
    kind = match.WhichOneof("path_specifier")
    path = {"path": match.path, "prefix": f"{match.prefix}*", "safe_regex": match.safe_regex.regex}[kind]
    parsed = ClusterName.parse(route.route.cluster)
    return f"{parsed.host}:{parsed.port}{path}" if parsed else f"{name}:{port}{path}"


def _redirect(redirect: HTTPRedirect, port: int) -> Any:
    """FROM_PROTOCOL_DEFAULT changes nothing, in Istio as here: a port in the request's Host stays."""
    found = RedirectAction(
        host_redirect=redirect.authority,
        response_code=_REDIRECTS.get(redirect.redirect_code, RedirectAction.MOVED_PERMANENTLY),
    )
    if redirect.prefix_rewrite:
        found.prefix_rewrite = redirect.prefix_rewrite
    elif redirect.uri:
        found.path_redirect = redirect.uri
    if redirect.scheme:
        found.scheme_redirect = redirect.scheme
    if redirect.port is not None:
        found.port_redirect = redirect.port
    elif redirect.derive_port == "FROM_REQUEST_PORT":
        found.port_redirect = port
    return found


def _forward(found: Any, config: Config[VirtualService], route: HTTPRoute, place: Place) -> None:
    action = found.route
    timeout = build.duration(route.timeout or build.NEVER)
    action.timeout.CopyFrom(timeout)
    action.max_grpc_timeout.CopyFrom(timeout)
    _destinations(found, config, route, place)
    hashed = [hashing for one in _used(route) if (hashing := _hashing(config, one.destination, place)) is not None]
    action.hash_policy.extend(hash_policy(one) for one in hashed)
    policy = retry_policy(route.retries, place.scope.mesh.retry_attempts, bool(hashed) and len(route.route) == 1)
    if policy is not None:
        action.retry_policy.CopyFrom(policy)
    _rewrite(action, route)
    _mirror(action, config, route, place)


def _used(route: HTTPRoute) -> list[HTTPRouteDestination]:
    """A missing weight is 0, and gets nothing beside others."""
    return [one for one in route.route if one.weight > 0] if len(route.route) > 1 else list(route.route)


def _destinations(found: Any, config: Config[VirtualService], route: HTTPRoute, place: Place) -> None:
    if len(route.route) == 1:
        found.route.cluster = str(cluster_name(config, route.route[0].destination, place))
        _headers(found, route.route[0].headers)
        return
    clusters = [_weighted(config, one, place) for one in _used(route)]
    found.route.weighted_clusters.CopyFrom(WeightedCluster(clusters=clusters))


def _weighted(config: Config[VirtualService], one: HTTPRouteDestination, place: Place) -> Any:
    found = WeightedCluster.ClusterWeight(
        name=str(cluster_name(config, one.destination, place)), weight=build.uint32(one.weight)
    )
    _headers(found, one.headers)
    return found


def cluster_name(config: Config[VirtualService], destination: Destination, place: Place) -> ClusterName:
    """Without a port: the only one that the service has, else the one that the client called."""
    host = hosts.resolve(destination.host, config.namespace)
    service = place.scope.services.get(host)
    port = place.port
    if destination.port is not None and destination.port.number:
        port = destination.port.number
    elif service is not None and len(service.ports) == 1:
        port = service.ports[0].number
    return ClusterName(port, host, destination.subset)


def _headers(found: Any, headers: Headers | None) -> None:
    """Append to the request and response headers of a route or a weighted cluster."""
    if headers is None:
        return
    request, response = headers.request or HeaderOperations(), headers.response or HeaderOperations()
    for name, value in request.set.items():
        if name.lower() in _HOST_HEADERS:
            _rewrite_host(found, value)
    found.request_headers_to_add.extend(_changes(request))
    found.request_headers_to_remove.extend(request.remove)
    found.response_headers_to_add.extend(_changes(response))
    found.response_headers_to_remove.extend(response.remove)


def _rewrite_host(found: Any, value: str) -> None:
    if isinstance(found, Route):
        found.route.host_rewrite_literal = value
    else:
        found.host_rewrite_literal = value


def _changes(operations: HeaderOperations) -> Iterator[Any]:
    for name, value in sorted(operations.set.items()):
        if name.lower() not in _HOST_HEADERS:
            yield HeaderValueOption(
                header=HeaderValue(key=name, value=value), append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
            )
    for name, value in sorted(operations.add.items()):
        yield HeaderValueOption(header=HeaderValue(key=name, value=value))


def _rewrite(action: Any, route: HTTPRoute) -> None:
    """A prefix rewrite replaces what was matched: after an exact or a regex match the whole path."""
    rewrite = route.rewrite
    if rewrite is None:
        return
    if rewrite.uri_regex_rewrite is not None:
        action.regex_rewrite.CopyFrom(_substitute(rewrite.uri_regex_rewrite.match, rewrite.uri_regex_rewrite.rewrite))
    elif rewrite.uri:
        action.prefix_rewrite = rewrite.uri
    if rewrite.authority:
        action.host_rewrite_literal = rewrite.authority


def _substitute(pattern: str, replacement: str) -> Any:
    return RegexMatchAndSubstitute(pattern=RegexMatcher(regex=pattern), substitution=replacement)


def _mirror(action: Any, config: Config[VirtualService], route: HTTPRoute, place: Place) -> None:
    policies = [(one.destination, 100.0 if one.percentage is None else one.percentage.value) for one in route.mirrors]
    if route.mirror is not None:
        share = 100.0 if route.mirror_percent is None else float(route.mirror_percent)
        if route.mirror_percentage is not None:
            share = route.mirror_percentage.value
        policies.append((route.mirror, share))
    for destination, share in policies:
        if share > 0:
            found = action.request_mirror_policies.add(
                cluster=str(cluster_name(config, destination, place)),
                runtime_fraction=build.runtime_percentage(share),
                disable_shadow_host_suffix_append=True,
            )
            found.trace_sampled.value = False


def retry_policy(retries: HTTPRetry | None, default_attempts: int, hashed: bool) -> Any:
    """Istio's default is two retries of what surely did no work; None when retries are turned off.

    Source: ConvertPolicy in istio/pilot/pkg/networking/core/route/retry.
    """
    attempts = default_attempts if retries is None else retries.attempts
    if attempts <= 0:
        return None
    conditions, codes = _retry_on(retries.retry_on if retries else "")
    found = RetryPolicy(
        retry_on=conditions,
        num_retries=build.uint32(attempts),
        retriable_status_codes=codes,
        host_selection_retry_max_attempts=5,
    )
    if retries is not None and retries.per_try_timeout is not None:
        found.per_try_timeout.CopyFrom(build.duration(retries.per_try_timeout))
    if retries is not None and retries.backoff is not None:
        found.retry_back_off.base_interval.CopyFrom(build.duration(retries.backoff))
    ignore = retries.retry_ignore_previous_hosts if retries is not None else None
    # A hash leads to the same pod again, so that avoiding it would only cost attempts.
    if (not hashed) if ignore is None else ignore:
        found.retry_host_predicate.add(
            name="envoy.retry_host_predicates.previous_hosts", typed_config=build.packed(PreviousHostsPredicate())
        )
    return found


def _retry_on(text: str) -> tuple[str, list[int]]:
    """Conditions and status codes of a ``retryOn``, in which codes may stand among the conditions."""
    if not text:
        return f"{RETRY_ON},{STATUS_CODES}", []
    parts = [part.strip() for part in text.split(",") if part.strip()]
    codes = [int(part) for part in parts if part.isdigit()]
    conditions = [part for part in parts if not part.isdigit()]
    if codes and STATUS_CODES not in conditions:
        conditions.append(STATUS_CODES)
    return ",".join(conditions), codes


def _hashing(config: Config[VirtualService], destination: Destination, place: Place) -> ConsistentHashLB | None:
    name = cluster_name(config, destination, place)
    port = destination.port.number if destination.port is not None else None
    return hashing_of(place.scope.rule(name.host), port, name.subset)


def hashing_of(rule: Rule | None, port: int | None, subset: str = "") -> ConsistentHashLB | None:
    """The consistent hash that a DestinationRule demands of a route.

    Settings of a port count where a route names it (None: it names none), however many ports the service has. In the
    cluster they replace all others; here those that say nothing of a hash leave the wider ones in force.
    Source: HashForHTTPDestination and hashForService in istio/pilot/pkg/networking/core/route; seen on the real one.
    """
    if rule is None:
        return None
    found: ConsistentHashLB | None = None
    for policy in (rule.spec.traffic_policy, *(one.traffic_policy for one in rule.spec.subsets if one.name == subset)):
        if policy is None:
            continue
        of_port = [one.load_balancer for one in policy.port_level_settings if one.port and one.port.number == port]
        for balancer in (policy.load_balancer, *of_port):
            if balancer is not None and balancer.consistent_hash is not None:
                found = balancer.consistent_hash
    return found


def hash_policy(hashing: ConsistentHashLB) -> Any:
    """What of a request decides its endpoint, for consistent hashing."""
    found = RouteAction.HashPolicy()
    if hashing.http_header_name is not None:
        found.header.header_name = hashing.http_header_name
    elif hashing.http_cookie is not None:
        found.cookie.name = hashing.http_cookie.name
        found.cookie.path = hashing.http_cookie.path
        if hashing.http_cookie.ttl is not None:
            found.cookie.ttl.CopyFrom(build.duration(hashing.http_cookie.ttl))
        for one in hashing.http_cookie.attributes:
            found.cookie.attributes.add(name=one.name, value=one.value)
    elif hashing.http_query_parameter_name is not None:
        found.query_parameter.name = hashing.http_query_parameter_name
    else:
        found.connection_properties.source_ip = True
    return found


def default_route(scope: Scope, name: ClusterName) -> Any:
    """The route to a service that no VirtualService speaks of."""
    hashing = hashing_of(scope.rule(name.host), name.port)
    found = Route(match=route_match(None), name="default")
    found.route.cluster = str(name)
    found.route.timeout.CopyFrom(build.duration(timedelta(0)))
    found.route.max_grpc_timeout.CopyFrom(build.duration(timedelta(0)))
    if hashing is not None:
        found.route.hash_policy.append(hash_policy(hashing))
    policy = retry_policy(None, scope.mesh.retry_attempts, hashing is not None)
    if policy is not None:
        found.route.retry_policy.CopyFrom(policy)
    found.decorator.operation = f"{name.host}:{name.port}/*"
    return found
