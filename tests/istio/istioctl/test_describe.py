"""Lines as ``istioctl x describe`` printed them on a real cluster for the same objects."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from meshdojo.istio.istioctl.describe import Mesh, effective_mode, pod_lines, port_modes, service_lines
from meshdojo.istio.models.destination_rule import DestinationRule
from meshdojo.istio.models.peer_authentication import PeerAuthentication
from meshdojo.istio.models.virtual_service import VirtualService

JSON = dict[str, Any]
POD, SERVICE, RULE, ROUTE, STRICT = yaml.safe_load_all("""
metadata: {name: web-v1, namespace: shop, labels: {app: web, version: v1}, annotations: {istio.io/rev: default}}
spec:
  initContainers: [{name: istio-proxy}]
  containers: [{name: app, ports: [{containerPort: 8080}]}]
---
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
metadata: {name: web, namespace: shop}
spec:
  host: web
  trafficPolicy: {tls: {mode: ISTIO_MUTUAL}, loadBalancer: {simple: RANDOM}}
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
metadata: {name: web, namespace: shop}
spec:
  hosts: [web]
  http:
  - match: [{headers: {x-a: {exact: b}}}, {uri: {exact: /e}}]
    route: [{destination: {host: web, subset: v2}}]
  - route:
    - {destination: {host: web, subset: v1}, weight: 90}
    - {destination: {host: web, subset: v2}, weight: 10}
---
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: STRICT}}
""")
SAID = """\
Service: web
   Port: http 80/HTTP targets pod port 8080
DestinationRule: web for "web"
   Matching subsets: v1
      (Non-matching subsets v2)
   Traffic Policy TLS Mode: ISTIO_MUTUAL
   Policies: load balancer
VirtualService: web
   Route to host "web" subset "v1" with weight 90%"""


def mesh(namespace: str = "shop") -> Mesh:
    return Mesh(
        namespace,
        [POD],
        [SERVICE],
        [DestinationRule.parse(RULE)],
        [VirtualService.parse(ROUTE)],
        [PeerAuthentication.parse(STRICT)],
    )


def test_a_pod() -> None:
    assert list(pod_lines(POD, mesh())) == [
        "Pod: web-v1",
        "   Pod Revision: default",
        "   Pod Ports: 8080 (app)",
        "--------------------",
        *SAID.splitlines(),
        "   1 additional destination(s) that will not reach this pod",
        "--------------------",
        "Effective PeerAuthentication:",
        "   Workload mTLS mode: STRICT",
        "Applied PeerAuthentication:",
        "   default.shop",
    ]


def test_names_from_another_namespace() -> None:
    lines = list(pod_lines(POD, mesh("default")))
    assert lines[0] == "Pod: web-v1.shop"
    assert 'DestinationRule: web.shop for "web"' in lines


def test_a_service_with_several_ports_has_a_heading_for_each() -> None:
    service = copy.deepcopy(SERVICE)
    service["spec"]["ports"].append({"name": "foo", "port": 81})
    lines = list(service_lines(service, mesh(), None))
    assert lines[:4] == [
        "Service: web",
        "   Port: http 80/HTTP targets pod port 8080",
        "   Port: foo 81/UnsupportedProtocol targets pod port 81",
        "80:",
    ]
    assert '   DestinationRule: web for "web"' in lines


def test_a_pod_outside_of_the_mesh() -> None:
    pod = {"metadata": {"name": "alone", "namespace": "shop"}, "spec": {"containers": [{"name": "app"}]}}
    assert list(pod_lines(pod, mesh())) == [
        "Pod: alone",
        "   Pod Revision: ",
        "   Pod does not expose ports",
        "WARNING: alone is not part of mesh; no Istio sidecar",
        "Warning: No Kubernetes Services select pod alone "
        "(see https://istio.io/docs/setup/kubernetes/additional-setup/requirements/ )",
        "--------------------",
    ]


def test_a_route_that_never_reaches_the_pod() -> None:
    route = copy.deepcopy(ROUTE)
    route["spec"]["http"] = route["spec"]["http"][:1]
    lone = Mesh("shop", [POD], [SERVICE], [DestinationRule.parse(RULE)], [VirtualService.parse(route)], [])
    assert "   WARNING: No destinations match pod subsets (checked 1 HTTP routes)" in list(pod_lines(POD, lone))


def policy(name: str, namespace: str, mode: str, created: str = "", **labels: str) -> PeerAuthentication:
    spec: JSON = {"mtls": {"mode": mode}} | ({"selector": {"matchLabels": labels}} if labels else {})
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": created}
    return PeerAuthentication.parse({"metadata": metadata, "spec": spec})


@pytest.mark.parametrize(
    ("policies", "mode", "applied"),
    [
        ([], "PERMISSIVE", []),
        ([policy("mesh", "istio-system", "STRICT")], "STRICT", ["mesh"]),
        ([policy("mesh", "istio-system", "STRICT"), policy("ns", "shop", "DISABLE")], "DISABLE", ["ns", "mesh"]),
        ([policy("ns", "shop", "UNSET"), policy("mesh", "istio-system", "STRICT")], "STRICT", ["ns", "mesh"]),
        ([policy("own", "shop", "PERMISSIVE", app="web"), policy("ns", "shop", "STRICT")], "PERMISSIVE", ["own", "ns"]),
        ([policy("other", "shop", "STRICT", app="other"), policy("else", "elsewhere", "STRICT")], "PERMISSIVE", []),
        ([policy("new", "shop", "STRICT", "2026"), policy("old", "shop", "DISABLE", "2025")], "DISABLE", ["old"]),
    ],
)
def test_the_mode_that_holds(policies: list[PeerAuthentication], mode: str, applied: list[str]) -> None:
    found, by = effective_mode(POD, policies)
    assert (found, [one.name for one in by]) == (mode, applied)


def test_the_modes_of_single_ports() -> None:
    spec = {
        "selector": {"matchLabels": {"app": "web"}},
        "portLevelMtls": {"9090": {"mode": "PERMISSIVE"}, "8080": {}},
    }
    own = PeerAuthentication.parse({"metadata": {"name": "own", "namespace": "shop"}, "spec": spec})
    policies = [own, policy("default", "shop", "STRICT")]
    mode, applied = effective_mode(POD, policies)
    assert port_modes(mode, applied) == {8080: "STRICT", 9090: "PERMISSIVE"}
    lines = list(pod_lines(POD, Mesh("shop", [POD], [], [], [], policies)))
    assert lines[-6:] == [
        "   Workload mTLS mode: STRICT",
        "   Port Level mTLS mode:",
        "      8080: STRICT",
        "      9090: PERMISSIVE",
        "Applied PeerAuthentication:",
        "   own.shop, default.shop",
    ]
