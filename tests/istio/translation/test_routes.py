"""Which cluster a call ends at: VirtualServices judged without an Envoy, by a small reading of Envoy's rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.istio.world import service_objects, snapshot

from meshdojo.istio.ca import CertificateAuthority
from meshdojo.istio.messages import HTTPFault, RouteConfiguration
from meshdojo.istio.proxy import Proxy
from meshdojo.istio.resource import RDS
from meshdojo.istio.translation.translator import Translation

CLIENT = Proxy("sidecar", "127.64.1.9", "client", "fleet", labels={"app": "client"})
AUTHORITY = CertificateAuthority.create()
SERVICES = "\n---\n".join(
    service_objects(name, f"127.200.1.{number}", {"app": name}, [], [("http", 8080, 8080)])
    for number, name in enumerate(("web", "api"), 1)
)


@dataclass(frozen=True)
class Call:
    """A request of a client in the mesh."""

    host: str = "web"
    path: str = "/"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)


def route_of(objects: str, call: Call, port: int = 8080, proxy: Proxy = CLIENT) -> Any:
    """The Envoy route that takes the call; None for a 404."""
    translation = Translation(snapshot(f"{SERVICES}\n---\n{objects}"), AUTHORITY)
    resource = translation.resources(proxy, RDS, [str(port)])[str(port)]
    configuration = resource.decode(RouteConfiguration)
    hosts = {domain: host for host in configuration.virtual_hosts for domain in host.domains}
    virtual_host = hosts.get(call.host, hosts["*"])
    return next((route for route in virtual_host.routes if fits(route.match, call)), None)


def fits(match: Any, call: Call) -> bool:
    path, _, query = call.path.partition("?")
    kind = match.WhichOneof("path_specifier")
    paths = {
        "prefix": path.startswith(match.prefix),
        "path": path == match.path,
        "safe_regex": bool(re.fullmatch(match.safe_regex.regex, path)),
    }
    headers = {**call.headers, ":method": call.method, ":authority": call.host}
    given = dict(pair.split("=") for pair in query.split("&") if pair)
    return (
        paths[kind]
        and all(header_fits(one, headers) for one in match.headers)
        and all(header_fits(one, given) for one in match.query_parameters)
    )


def header_fits(matcher: Any, headers: Mapping[str, str]) -> bool:
    value = headers.get(matcher.name)
    if not matcher.HasField("string_match"):
        found = value is not None
    elif value is None and not getattr(matcher, "treat_missing_header_as_empty", False):
        return False
    else:
        found = text_fits(matcher.string_match, value or "")
    return found is not getattr(matcher, "invert_match", False)


def text_fits(matcher: Any, text: str) -> bool:
    kind = matcher.WhichOneof("match_pattern")
    if kind == "safe_regex":
        return bool(re.fullmatch(matcher.safe_regex.regex, text))
    return text == matcher.exact if kind == "exact" else text.startswith(matcher.prefix)


def virtual_service(http: str, name: str = "web", host: str = "web", **metadata: str) -> str:
    more = "".join(f", {key}: {value}" for key, value in metadata.items())
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}{more}}}
spec:
  hosts: [{host}]
  http: {http}
"""


def cluster(objects: str, call: Call, **more: Any) -> str | None:
    route = route_of(objects, call, **more)
    return str(route.route.cluster) if route is not None else None


WEB = "outbound|8080||web.fleet.svc.cluster.local"
API = "outbound|8080||api.fleet.svc.cluster.local"
WEB_HOST = "web.fleet.svc.cluster.local"
# A short name means a service of the VirtualService's namespace.
API_OF_OTHER = "outbound|8080||api.other.svc.cluster.local"


@pytest.mark.parametrize(
    "host",
    ["web", "web.fleet", "web.fleet.svc", "web.fleet.svc.cluster.local", "web.fleet.svc.cluster.local.", "127.200.1.1"],
)
def test_every_name_of_a_service_leads_to_it(host: str) -> None:
    assert cluster("", Call(host)) == WEB


def test_short_names_are_those_of_the_clients_namespace() -> None:
    stranger = Proxy("sidecar", "127.64.1.8", "client", "other")
    assert cluster("", Call("web"), proxy=stranger) == "PassthroughCluster"
    assert cluster("", Call("web.fleet"), proxy=stranger) == WEB


TO_API = "route: [{destination: {host: api}}]"


@pytest.mark.parametrize(
    ("match", "hits", "misses"),
    [
        ("uri: {prefix: /two}", [Call(path="/two"), Call(path="/twofold")], [Call(path="/one"), Call(path="/TWO")]),
        ("uri: {exact: /two}", [Call(path="/two?x=1")], [Call(path="/two/"), Call(path="/twofold")]),
        ('uri: {regex: "/t[a-z]o"}', [Call(path="/two")], [Call(path="/two/x")]),
        ("headers: {x-a: {exact: b}}", [Call(headers={"x-a": "b"})], [Call(), Call(headers={"x-a": "bc"})]),
        ("headers: {x-a: {}}", [Call(headers={"x-a": ""})], [Call()]),
        ("headers: {x-a: {prefix: b}}", [Call(headers={"x-a": "bc"})], [Call(headers={"x-a": "cb"})]),
        ("withoutHeaders: {x-a: {exact: b}}", [Call(), Call(headers={"x-a": "c"})], [Call(headers={"x-a": "b"})]),
        ("withoutHeaders: {x-a: {}}", [Call()], [Call(headers={"x-a": "c"})]),
        ("method: {exact: POST}", [Call(method="POST")], [Call()]),
        ("authority: {prefix: web.fl}", [Call("web.fleet")], [Call("web")]),
        ("queryParams: {q: {exact: '1'}}", [Call(path="/?q=1")], [Call(path="/?q=2"), Call(path="/")]),
        ("port: 8080", [Call()], []),
        ("port: 8081", [], [Call()]),
        ("sourceLabels: {app: client}", [Call()], []),
        ("sourceLabels: {app: other}", [], [Call()]),
        ("sourceNamespace: fleet", [Call()], []),
        ("sourceNamespace: other", [], [Call()]),
        ("gateways: [edge]", [], [Call()]),
        ("gateways: [mesh]", [Call()], []),
    ],
)
def test_matches(match: str, hits: list[Call], misses: list[Call]) -> None:
    objects = virtual_service(f"[{{match: [{{{match}}}], {TO_API}}}, {{route: [{{destination: {{host: web}}}}]}}]")
    assert [cluster(objects, call) for call in hits] == [API] * len(hits)
    assert [cluster(objects, call) for call in misses] == [WEB] * len(misses)


def test_without_a_match_there_is_no_route() -> None:
    objects = virtual_service(f"[{{match: [{{uri: {{prefix: /a}}}}], {TO_API}}}]")
    assert cluster(objects, Call(path="/b")) is None


def test_the_oldest_virtual_service_owns_the_host_alone() -> None:
    young = virtual_service(f"[{{{TO_API}}}]", name="young", creationTimestamp='"2026-03-01T00:00:00Z"')
    old = virtual_service("[{match: [{uri: {prefix: /a}}], route: [{destination: {host: web}}]}]", name="old")
    assert cluster(f"{young}\n---\n{old}", Call(path="/a")) == WEB
    assert cluster(f"{young}\n---\n{old}", Call(path="/b")) is None


def test_a_virtual_service_for_the_callers_namespace_alone_beats_older_ones_for_more() -> None:
    def one(name: str, path: str, export_to: str, year: int, namespace: str = "fleet") -> str:
        http = f"[{{match: [{{uri: {{prefix: {path}}}}}], {TO_API}}}]"
        text = virtual_service(http, name, WEB_HOST, creationTimestamp=f'"{year}-01-01T00:00:00Z"', namespace=namespace)
        return f"{text}  exportTo: {export_to}\n"

    public = one("public", "/public", '["*", fleet]', 2020)
    exported = one("exported", "/exported", "[fleet, elsewhere]", 2021, "other")
    private = one("private", "/private", '["."]', 2022)
    assert cluster(public, Call(path="/public")) == API
    both = f"{public}---{exported}"
    assert (cluster(both, Call(path="/public")), cluster(both, Call(path="/exported"))) == (None, API_OF_OTHER)
    all_three = f"{both}---{private}"
    assert [cluster(all_three, Call(path=path)) for path in ("/public", "/exported", "/private")] == [None, None, API]


def test_hosts_that_are_no_service_are_served_on_port_80() -> None:
    objects = virtual_service(f"[{{{TO_API}}}]", host="anything.example")
    assert cluster(objects, Call("anything.example"), port=80) == "outbound|8080||api.fleet.svc.cluster.local"


def test_a_destination_may_name_its_port() -> None:
    objects = virtual_service("[{route: [{destination: {host: api, port: {number: 9999}, subset: v1}}]}]")
    assert cluster(objects, Call()) == "outbound|9999|v1|api.fleet.svc.cluster.local"


def test_missing_weights_are_zero_and_get_nothing() -> None:
    objects = virtual_service("[{route: [{destination: {host: api}, weight: 5}, {destination: {host: web}}]}]")
    [only] = route_of(objects, Call()).route.weighted_clusters.clusters
    assert (only.name, only.weight.value) == (API, 5)


def test_a_sole_destination_needs_no_weight() -> None:
    assert cluster(virtual_service(f"[{{{TO_API}}}]"), Call()) == API


@pytest.mark.parametrize(("rest", "port"), [("", 0), (", port: 9", 9), (", derivePort: FROM_REQUEST_PORT", 8080)])
def test_redirects_keep_the_port_unless_told_otherwise(rest: str, port: int) -> None:
    route = route_of(virtual_service(f"[{{redirect: {{uri: /x, scheme: https{rest}}}}}]"), Call())
    assert (route.redirect.path_redirect, route.redirect.scheme_redirect) == ("/x", "https")
    assert route.redirect.port_redirect == port


HASHING = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api}
spec: {host: api, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}}
"""


def test_a_hashed_destination_gives_the_route_its_key_and_retries_may_meet_the_same_pod() -> None:
    route = route_of(f"{virtual_service(f'[{{{TO_API}}}]')}\n---\n{HASHING}", Call())
    assert [one.header.header_name for one in route.route.hash_policy] == ["x-user"]
    assert not route.route.retry_policy.retry_host_predicate
    plain = route_of(virtual_service(f"[{{{TO_API}}}]"), Call())
    assert plain.route.retry_policy.retry_host_predicate


@pytest.mark.parametrize(
    ("port", "keys"), [("", ["x-user"]), (", port: {number: 80}", ["x-port"]), (", port: {number: 81}", ["x-user"])]
)
def test_a_hash_for_one_port_is_for_routes_that_name_it(port: str, keys: list[str]) -> None:
    own = "{port: {number: 80}, loadBalancer: {consistentHash: {httpHeaderName: x-port}}}"
    rule = HASHING.replace("trafficPolicy: {", f"trafficPolicy: {{portLevelSettings: [{own}], ")
    to_api = f"route: [{{destination: {{host: api{port}}}}}]"
    route = route_of(f"{virtual_service(f'[{{{to_api}}}]')}\n---\n{rule}", Call())
    assert [one.header.header_name for one in route.route.hash_policy] == keys


@pytest.mark.parametrize(
    ("fault", "numerator"),
    [
        ("delay: {fixedDelay: 1s}", 0),
        ("delay: {fixedDelay: 1s, percentage: {value: 0.5}}", 5000),
        ("delay: {fixedDelay: 1s, percent: 50}", 500000),
        ("abort: {httpStatus: 503}", 0),
        ("abort: {httpStatus: 503, percentage: {value: 100}}", 1000000),
    ],
)
def test_faults_strike_only_with_a_percentage(fault: str, numerator: int) -> None:
    route = route_of(virtual_service(f"[{{fault: {{{fault}}}, {TO_API}}}]"), Call())
    found = HTTPFault.FromString(route.typed_per_filter_config["envoy.filters.http.fault"].value)
    part = found.delay if fault.startswith("delay") else found.abort
    assert part.percentage.numerator == numerator


def test_headers_are_set_added_and_removed_and_host_is_a_rewrite() -> None:
    headers = "headers: {request: {set: {b: '2', host: other}, add: {a: '1'}, remove: [c]}, response: {remove: [d]}}"
    route = route_of(virtual_service(f"[{{{headers}, {TO_API}}}]"), Call())
    assert [one.header.key for one in route.request_headers_to_add] == ["b", "a"]
    assert list(route.request_headers_to_remove) == ["c"]
    assert list(route.response_headers_to_remove) == ["d"]
    assert route.route.host_rewrite_literal == "other"


def test_mirrors_get_their_share() -> None:
    objects = virtual_service(f"[{{mirror: {{host: web}}, mirrorPercentage: {{value: 10}}, {TO_API}}}]")
    [policy] = route_of(objects, Call()).route.request_mirror_policies
    assert (policy.cluster, policy.runtime_fraction.default_value.numerator) == (WEB, 100000)


@pytest.mark.parametrize(
    ("retries", "retry_on", "number", "codes"),
    [
        ("", "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes", 2, []),
        (
            "retries: {attempts: 3}",
            "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
            3,
            [],
        ),
        ("retries: {attempts: 1, retryOn: 5xx}", "5xx", 1, []),
        ('retries: {attempts: 1, retryOn: "503"}', "retriable-status-codes", 1, [503]),
        ('retries: {attempts: 1, retryOn: "reset,503"}', "reset,retriable-status-codes", 1, [503]),
    ],
)
def test_retries(retries: str, retry_on: str, number: int, codes: list[int]) -> None:
    separator = ", " if retries else ""
    route = route_of(virtual_service(f"[{{{retries}{separator}{TO_API}}}]"), Call())
    policy = route.route.retry_policy
    assert (policy.retry_on, policy.num_retries.value, list(policy.retriable_status_codes)) == (retry_on, number, codes)


def test_retries_can_be_turned_off() -> None:
    route = route_of(virtual_service(f"[{{retries: {{attempts: 0}}, {TO_API}}}]"), Call())
    assert not route.route.HasField("retry_policy")


def test_there_is_no_timeout_unless_one_is_given() -> None:
    assert route_of(virtual_service(f"[{{{TO_API}}}]"), Call()).route.timeout.seconds == 0
    assert route_of(virtual_service(f"[{{timeout: 3s, {TO_API}}}]"), Call()).route.timeout.seconds == 3
