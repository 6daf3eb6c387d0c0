from typing import Any

import pytest

from meshdojo.istio.service import Protocol, from_kubernetes, select_protocol, visible


@pytest.mark.parametrize(
    ("number", "name", "app_protocol", "protocol"),
    [
        (80, "http", None, Protocol.HTTP),
        (80, "http-web", None, Protocol.HTTP),
        (80, "http2", None, Protocol.HTTP2),
        (80, "grpc-api", None, Protocol.GRPC),
        (80, "grpc-web", None, Protocol.GRPC),
        (443, "https", None, Protocol.TLS),
        (80, "tcp-x", None, Protocol.TCP),
        (80, "web", None, Protocol.AUTO),
        (80, "", None, Protocol.AUTO),
        (80, "httpweb", None, Protocol.AUTO),
        (3306, "", None, Protocol.TCP),
        (80, "tcp", "http", Protocol.HTTP),
        (80, "x", "kubernetes.io/h2c", Protocol.HTTP2),
    ],
)
def test_protocol_by_name_and_app_protocol(
    number: int, name: str, app_protocol: str | None, protocol: Protocol
) -> None:
    assert select_protocol(number, name, app_protocol) is protocol


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web", "namespace": "fleet"}, "spec": spec}


def test_a_service_becomes_a_host_with_its_address() -> None:
    found = from_kubernetes(service(clusterIP="127.200.0.5", ports=[{"name": "http", "port": 80, "targetPort": 8080}]))
    assert found is not None
    assert found.host == "web.fleet.svc.cluster.local"
    assert found.addresses == ("127.200.0.5",)
    assert found.ports[0].target == 8080
    assert not found.headless


def test_a_headless_service_has_no_address_and_is_passed_through() -> None:
    found = from_kubernetes(service(clusterIP="None", clusterIPs=["None"], ports=[{"port": 80}]))
    assert found is not None
    assert found.headless
    assert found.resolution == "passthrough"


def test_services_without_tcp_ports_are_none_of_the_mesh() -> None:
    assert from_kubernetes(service(clusterIP="127.200.0.5", ports=[{"port": 53, "protocol": "UDP"}])) is None
    assert from_kubernetes(service(type="ExternalName", externalName="x", ports=[{"port": 80}])) is None


def test_export_to() -> None:
    assert visible(("*",), "a", "b")
    assert visible((".",), "a", "a")
    assert not visible((".",), "a", "b")
    assert visible(("b",), "a", "b")
    assert not visible(("~",), "a", "a")
