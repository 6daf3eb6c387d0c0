from dataclasses import replace

import pytest
from tests.istio.world import service_objects, snapshot

from meshdojo.istio.service import Protocol
from meshdojo.istio.snapshot import Snapshot
from meshdojo.istio.translation import inbound
from meshdojo.istio.translation.listeners import sidecar_inbound
from meshdojo.istio.workload import Workload
from meshdojo.network import Redirection

POD = Workload("fleet", "web-1", "127.64.1.1", labels={"app": "web"}, ports={"admin": 9000}, numbers=(8080, 9000))


def policy(name: str, spec: str, namespace: str = "fleet") -> str:
    return f"""
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: {name}, namespace: {namespace}}}
spec: {spec}
"""


def mode(objects: str, port: int = 8080) -> str:
    return inbound.mode(inbound.applying(snapshot(objects), POD), port)


def cluster(*ports: tuple[str, int, int]) -> Snapshot:
    return snapshot(service_objects("web", "127.200.1.1", {"app": "web"}, [], ports))


def test_ports_are_the_targets_of_services_and_the_containers_own() -> None:
    found = inbound.ports(cluster(("http", 80, 8080), ("tcp", 81, 5432)), POD)
    assert [(one.number, one.protocol) for one in found] == [
        (5432, Protocol.TCP),
        (8080, Protocol.HTTP),
        (9000, Protocol.AUTO),
    ]


def test_ports_past_the_sidecar_are_not_its_own() -> None:
    pod = replace(POD, redirection=Redirection.parse(["-b", "*", "-d", "15020,9000"]))
    assert [one.number for one in inbound.ports(cluster(("http", 80, 8080)), pod)] == [8080]


def test_services_that_select_other_pods_do_not_count() -> None:
    other = snapshot(service_objects("api", "127.200.1.2", {"app": "api"}, [], [("tcp", 81, 5432)]))
    assert [one.number for one in inbound.ports(other, POD)] == [8080, 9000]


def test_the_modes_are_inherited_from_mesh_to_namespace_to_workload_to_port() -> None:
    root = policy("default", "{mtls: {mode: STRICT}}", "istio-system")
    assert mode("") == "PERMISSIVE"
    assert mode(root) == "STRICT"
    namespace = policy("default", "{mtls: {mode: DISABLE}}")
    assert mode(root + namespace) == "DISABLE"
    own = policy("web", "{selector: {matchLabels: {app: web}}, portLevelMtls: {'8080': {mode: PERMISSIVE}}}")
    assert mode(root + namespace + own) == "PERMISSIVE"
    assert mode(root + namespace + own, 9000) == "DISABLE"
    assert mode(root + policy("default", "{mtls: {mode: UNSET}}")) == "STRICT"
    assert mode(policy("api", "{selector: {matchLabels: {app: api}}, mtls: {mode: STRICT}}")) == "PERMISSIVE"


@pytest.mark.parametrize(
    ("name", "spec", "kinds"),
    [
        ("http", "PERMISSIVE", [("tls", True), ("raw_buffer", False)]),
        ("http", "STRICT", [("tls", True)]),
        ("http", "DISABLE", [("", False)]),
        ("tcp", "PERMISSIVE", [("tls", True), ("raw_buffer", False), ("tls", False)]),
        ("tcp", "STRICT", [("tls", True)]),
        ("tcp", "DISABLE", [("raw_buffer", False), ("tls", False)]),
        ("any", "STRICT", [("tls", True), ("tls", True)]),
    ],
)
def test_what_a_port_accepts(name: str, spec: str, kinds: list[tuple[str, bool]]) -> None:
    objects = service_objects("web", "127.200.1.1", {"app": "web"}, [], [(name, 8080, 8080)])
    found = inbound.ports(snapshot(objects + policy("default", f"{{mtls: {{mode: {spec}}}}}")), POD)
    port = next(one for one in found if one.number == 8080)
    assert [(chain.transport, chain.mutual) for chain in sidecar_inbound.chains(port)] == kinds
