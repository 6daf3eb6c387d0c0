"""VirtualService: what the webhook says. The words are those of a real cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from meshdojo.istio.models.common import Destination
from meshdojo.istio.models.virtual_service import (
    CorsPolicy,
    Headers,
    HTTPFaultInjection,
    HTTPMatchRequest,
    HTTPRetry,
    HTTPRoute,
    L4MatchAttributes,
    RouteDestination,
    StringMatch,
    TLSMatchAttributes,
    TLSRoute,
    VirtualService,
)
from meshdojo.istio.validation import names, unreachable
from meshdojo.istio.validation.findings import Findings

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "*"})
RETRY_ON = frozenset(
    {
        *("5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "envoy-ratelimited"),
        *(
            "retriable-4xx",
            "refused-stream",
            "retriable-status-codes",
            "retriable-headers",
            "http3-post-connect-failure",
        ),
        *("cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"),
    }
)
GRPC_STATUSES = frozenset(
    {
        *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
        *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE"),
        *("UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
    }
)


def check(obj: VirtualService, found: Findings) -> None:
    """Source: ValidateVirtualService in istio.io/istio/pkg/config/validation."""
    spec = obj.spec
    in_mesh = not spec.gateways or "mesh" in spec.gateways
    _hosts(spec.hosts, in_mesh, found)
    delegate = not spec.hosts
    if delegate:
        found.refuse_if(bool(spec.gateways), "delegate virtual service must have no gateways specified")
        found.refuse_if(bool(spec.tls), "delegate virtual service must have no tls route specified")
        found.refuse_if(bool(spec.tcp), "delegate virtual service must have no tcp route specified")
    found.refuse_if(not (spec.http or spec.tls or spec.tcp), "http, tcp or tls must be provided in virtual service")
    _gateways(spec.gateways, found)
    for http in spec.http:
        _http(http, delegate, found)
    for tls in spec.tls:
        _tls(tls, spec.hosts, found)
    for tcp in spec.tcp:
        for match in tcp.match:
            _l4(match, found)
        found.refuse_if(not tcp.route, "TCP route is required")
        _destinations(tcp.route, found)
    found.refuse_all(names.export_to(spec.export_to))
    for warning in unreachable.warnings(spec.http):
        found.warn(warning)


def _hosts(hosts: tuple[str, ...], in_mesh: bool, found: Findings) -> None:
    seen: set[str] = set()
    for host in hosts:
        problems = [] if names.is_address(host) else names.wildcard_domain(host)
        found.refuse_all(problems)
        if host == "*" and in_mesh:
            found.refuse("wildcard host * is not allowed for virtual services bound to the mesh gateway")
        found.refuse_if(host in seen, f"duplicate hosts in virtual service: {host} & {host}")
        seen.add(host)


def _gateways(gateways: Iterable[str], found: Findings) -> None:
    for gateway in gateways:
        if gateway == "mesh":
            continue
        namespace, slash, name = gateway.partition("/")
        if slash:
            if not names.is_label(namespace):
                found.refuse(f'invalid value for gateway namespace: "{namespace}"')
            if not names.is_label(name):
                found.refuse(f'invalid value for gateway name: "{name}"')
            continue
        problems = names.fqdn(gateway)
        found.refuse_all(problems)
        if "." in gateway and not problems:
            name, _, rest = gateway.partition(".")
            short = f"{rest.partition('.')[0]}/{name}"
            found.warn(f'using legacy gatewayName format "{gateway}"; prefer the <namespace>/<name> format: "{short}"')


def _http(route: HTTPRoute, delegate: bool, found: Findings) -> None:
    """`delegate`: the route is one of a delegate's."""
    found.refuse_all(_conflicts(route, delegate))
    for match in route.match:
        _match(match, found)
    if route.headers:
        _headers(route.headers, route.rewrite.authority if route.rewrite else "", found)
    if route.cors_policy:
        _cors(route.cors_policy, found)
    if route.fault:
        _fault(route.fault, found)
    _mirrors(route, found)
    if route.redirect:
        _redirect(route, found)
    if route.direct_response:
        found.refuse_all(names.http_status(route.direct_response.status))
    if route.retries:
        _retries(route.retries, found)
    _rewrite(route, found)
    found.refuse_all(names.duration(route.timeout))
    _destinations(route.route, found)
    for target in route.route:
        if target.headers:
            _headers(target.headers, route.rewrite.authority if route.rewrite else "", found)


def _conflicts(route: HTTPRoute, delegate: bool) -> Iterator[str]:
    if route.delegate is not None:
        if not delegate:
            for name in ("redirect", "route"):
                if getattr(route, name):
                    yield f"root HTTP route {route.name} must not specify {name}"
            return
        yield "delegate HTTP route cannot contain delegate"
    if route.redirect:
        for name, given in (("route", route.route), ("fault", route.fault)):
            if given:
                yield f"HTTP route cannot contain both {name} and redirect"
        if route.direct_response:
            yield "HTTP route cannot contain both direct_response and redirect"
        if route.rewrite:
            yield "HTTP route rule cannot contain both rewrite and redirect"
    elif route.direct_response:
        if route.route:
            yield "HTTP route cannot contain both route and direct_response"
        if route.fault:
            yield "HTTP route cannot contain both fault and direct_response"
        if route.rewrite:
            yield "HTTP route rule cannot contain both rewrite and direct_response"
    elif not route.route:
        yield "HTTP route, redirect or direct_response is required"
    if route.mirror and route.mirrors:
        yield "HTTP route cannot contain both mirror and mirrors"


def _match(match: HTTPMatchRequest, found: Findings) -> None:
    for where in ("uri", "scheme", "method", "authority"):
        _text(where, getattr(match, where), found)
    for group, label in ((match.headers, "header"), (match.without_headers, "withoutHeader")):
        for name, condition in group.items():
            found.refuse_all(names.header(name))
            _text(f"{label}s", condition, found)
    for condition in match.query_params.values():
        _text("queryParams", condition, found)
    if match.port:
        found.refuse_all(names.port(match.port))
    _where_from(match.source_labels, match.source_namespace, match.gateways, found)


def _text(where: str, match: StringMatch | None, found: Findings) -> None:
    if match and match.regex is not None:
        found.refuse_all(names.regex(where, match.regex))


def _where_from(labels: Mapping[str, str], namespace: str, gateways: Iterable[str], found: Findings) -> None:
    found.refuse_all(names.tags(labels), listed=True)
    _gateways(gateways, found)
    found.refuse_if(bool(namespace) and not names.is_label(namespace), f"sourceNamespace match {namespace} is invalid")


def _headers(headers: Headers, rewritten: str, found: Findings) -> None:
    authority = rewritten
    for direction in (headers.request, headers.response):
        if direction is None:
            continue
        for name, value in [*direction.set.items(), *direction.add.items()]:
            if not name:
                found.refuse("header name cannot be empty")
            elif name.lower() in (":authority", "host") and direction is headers.request and name in direction.set:
                if authority:
                    twice = f'have "{authority}", attempting to set "{value}"'
                    found.refuse(f"authority header cannot be set multiple times: {twice}")
                authority = value
            elif name.startswith(":"):
                found.refuse(f'invalid header "{name}": header cannot have ":" prefix')
        for name in direction.remove:
            found.refuse_if(name.startswith(":"), f'invalid header "{name}": header cannot have ":" prefix')
            found.refuse_if(not name, "header name cannot be empty")


def _cors(policy: CorsPolicy, found: Findings) -> None:
    for origin in policy.allow_origins:
        kind = next((kind for kind in ("exact", "prefix", "regex") if getattr(origin, kind) is not None), "")
        if not kind or not getattr(origin, kind):
            found.refuse("'' is not a valid match type for CORS allow origins")
        _text("allowOrigins", origin, found)
    for method in policy.allow_methods:
        found.refuse_if(method not in METHODS, f'"{method}" is not a supported HTTP method')
    for name in (*policy.allow_headers, *policy.expose_headers):
        if name != "*":
            found.refuse_all(names.header(name))
    if policy.max_age is not None:
        found.refuse_all(names.duration(policy.max_age), listed=True)
        if policy.max_age.microseconds and not policy.max_age.microseconds % 1000:
            found.refuse("max_age duration is accurate only to seconds precision", listed=True)


def _fault(fault: HTTPFaultInjection, found: Findings) -> None:
    if fault.delay is None and fault.abort is None:
        found.refuse("HTTP fault injection must have an abort and/or a delay", listed=True)
    if fault.delay:
        if fault.delay.percentage:
            found.refuse_all(names.percent(fault.delay.percentage.value))
        found.refuse_all(names.duration(fault.delay.fixed_delay))
        found.refuse_if(fault.delay.exponential_delay is not None, "exponentialDelay not supported yet", listed=True)
    if fault.abort:
        if fault.abort.percentage:
            found.refuse_all(names.percent(fault.abort.percentage.value))
        if fault.abort.http_status is not None:
            found.refuse_all(names.http_status(fault.abort.http_status))
        status = fault.abort.grpc_status
        if status is not None and status not in GRPC_STATUSES:
            found.refuse(
                f'gRPC status "{status}" is not supported. See '
                "https://github.com/grpc/grpc/blob/master/doc/statuscodes.md for a list of supported codes, "
                "for example 'NOT_FOUND'"
            )
        found.refuse_if(fault.abort.http2_error is not None, "HTTP/2 abort fault injection not supported yet")


def _mirrors(route: HTTPRoute, found: Findings) -> None:
    if route.mirror:
        _destination(route.mirror, found)
    for mirror in route.mirrors:
        _destination(mirror.destination, found)
        if mirror.percentage:
            found.refuse_all(names.percent(mirror.percentage.value))
    if route.mirror_percent is not None:
        found.warn('using deprecated setting "mirrorPercent", use "mirrorPercentage" instead')
    if (route.mirror_percent or 0) > 100:
        found.refuse(f"mirror_percent must have a max value of 100 (it has {route.mirror_percent})")
    if route.mirror_percentage:
        value = route.mirror_percentage.value
        found.refuse_if(value > 100, f"mirror_percentage must have a max value of 100 (it has {value:f})")
        found.refuse_if(value < 0, f"mirror_percentage must have a min value of 0 (it has {value:f})")


def _redirect(route: HTTPRoute, found: Findings) -> None:
    redirect = route.redirect
    if redirect is None:
        return
    if not (redirect.uri or redirect.authority or redirect.scheme or redirect.port or redirect.prefix_rewrite):
        found.refuse("redirect must specify URI, authority, scheme, or port")
    code = redirect.redirect_code
    found.refuse_if(bool(code) and not 300 <= code <= 399, f"{code} is not a valid redirect code, must be 3xx")
    if redirect.port:
        found.refuse_all(names.port(redirect.port))


def _rewrite(route: HTTPRoute, found: Findings) -> None:
    rewrite = route.rewrite
    if rewrite is None:
        return
    if not (rewrite.uri or rewrite.authority or rewrite.uri_regex_rewrite):
        found.refuse(
            "rewrite must specify at least one of URI, UriRegexRewrite, or authority. "
            "Only one of URI or UriRegexRewrite may be specified"
        )
    if rewrite.uri and rewrite.uri_regex_rewrite:
        found.refuse("rewrite may only contain one of URI or UriRegexRewrite")
    if rewrite.uri_regex_rewrite:
        found.refuse_all(names.regex("uriRegexRewrite", rewrite.uri_regex_rewrite.match))


def _retries(retries: HTTPRetry, found: Findings) -> None:
    found.refuse_if(retries.attempts < 0, "attempts cannot be negative", listed=True)
    if retries.attempts == 0 and (retries.per_try_timeout or retries.retry_on or retries.retry_remote_localities):
        found.refuse("http retry policy configured when attempts are set to 0 (disabled)")
    found.refuse_all(names.duration(retries.per_try_timeout))
    found.refuse_all(names.duration(retries.backoff))
    for policy in retries.retry_on.split(",") if retries.retry_on else ():
        known = policy in RETRY_ON or (policy.isdigit() and 100 <= int(policy) <= 599)
        found.refuse_if(not known, f'"{policy}" is not a valid retryOn policy')


def _destinations(targets: Iterable[RouteDestination] | Iterable[object], found: Findings) -> None:
    total, listed = 0, list(targets)
    for target in listed:
        weight: int = getattr(target, "weight")  # noqa: B009  two message types have these fields
        _destination(getattr(target, "destination"), found)  # noqa: B009
        found.refuse_if(weight < 0, f"weight {weight} < 0")
        total += max(weight, 0)
    found.refuse_if(len(listed) > 1 and total == 0, "total destination weight = 0")


def _destination(destination: Destination, found: Findings) -> None:
    if destination.host == "*":
        found.refuse("invalid destination host *")
    else:
        found.refuse_all(names.wildcard_domain(destination.host))
    subset = destination.subset
    if subset and (subset != subset.lower() or not names.is_label(subset)):
        found.refuse(f"subset name is invalid: {subset}")
    if destination.port:
        found.refuse_all(names.port(destination.port.number))


def _tls(route: TLSRoute, hosts: tuple[str, ...], found: Findings) -> None:
    found.refuse_if(not route.match, "TLS route must have at least one match condition")
    for match in route.match:
        found.refuse_if(not match.sni_hosts, "TLS match must have at least one SNI host")
        for sni in match.sni_hosts:
            _sni(sni, hosts, found)
        _l4(match, found)
    found.refuse_if(not route.route, "TLS route is required")
    _destinations(route.route, found)


def _sni(sni: str, hosts: tuple[str, ...], found: Findings) -> None:
    found.refuse_all(names.wildcard_domain(sni))
    if not any(_within(sni, host) for host in hosts):
        listed = " ".join(hosts)
        found.refuse(f'SNI host "{sni}" is not a compatible subset of any of the virtual service hosts: [{listed}]')


def _within(sni: str, host: str) -> bool:
    """Whether all names that `sni` stands for are names that `host` stands for."""
    return host in ("*", sni) or (host.startswith("*") and sni.removeprefix("*").endswith(host[1:]))


def _l4(match: L4MatchAttributes | TLSMatchAttributes, found: Findings) -> None:
    for network in match.destination_subnets:
        found.refuse_all(names.subnet(network))
    if match.port:
        found.refuse_all(names.port(match.port))
    _where_from(match.source_labels, match.source_namespace, match.gateways, found)
