"""HTTP through the API server into pods and services."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.kubernetes.conftest import Cluster

NAMESPACE = "/api/v1/namespaces/default"


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(203)
        self.send_header("x-from", "pod")
        self.end_headers()
        authorization = self.headers.get("authorization", "none")
        self.wfile.write(f"{self.command} {self.path} {authorization} {body.decode()}".encode())

    do_GET = do_POST = answer  # noqa: N815 - the names that http.server looks for

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module", autouse=True)
def pod(cluster: Cluster, http: httpx.Client) -> Iterator[None]:
    """A pod 10.0.0.1 that serves port 8080, behind the service ``web`` with one port named http."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    cluster.node.addresses["10.0.0.1", 8080] = ("127.0.0.1", server.server_port)
    containers = [{"name": "c", "image": "web", "ports": [{"containerPort": 8080}]}]
    http.post(f"{NAMESPACE}/pods", json={"metadata": {"name": "web-1"}, "spec": {"containers": containers}})
    http.post(f"{NAMESPACE}/pods", json={"metadata": {"name": "new"}, "spec": {"containers": containers}})
    status = {"status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]}}
    merge = {"content-type": "application/merge-patch+json"}
    http.patch(f"{NAMESPACE}/pods/web-1/status", json=status, headers=merge)
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    http.post(f"{NAMESPACE}/services", json={"metadata": {"name": "web"}, "spec": {"ports": ports}})
    http.post(
        f"/apis/discovery.k8s.io/v1{NAMESPACE.removeprefix('/api/v1')}/endpointslices",
        json={
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
            "ports": [{"name": "http", "port": 8080}],
        },
    )
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_pod_answers_for_itself(http: httpx.Client) -> None:
    answer = http.get(f"{NAMESPACE}/pods/web-1:8080/proxy/a/b%20c?x=1&y=2")
    first_port = http.post(f"{NAMESPACE}/pods/web-1/proxy/", content=b"hello")

    assert answer.status_code == 203
    assert answer.headers["x-from"] == "pod"
    # The admin's token is for the API server, not for the pod.
    assert answer.text == "GET /a/b%20c?x=1&y=2 none "
    assert first_port.text == "POST / none hello"


def test_a_service_wants_the_name_of_its_port(http: httpx.Client) -> None:
    by_name = http.get(f"{NAMESPACE}/services/web:http/proxy/")
    by_number = http.get(f"{NAMESPACE}/services/http:web:80/proxy/")
    without = http.get(f"{NAMESPACE}/services/web/proxy/")

    assert by_name.text == by_number.text == "GET / none "
    assert without.status_code == 503
    assert without.json()["message"] == 'no endpoints available for service "web"'


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("pods/web-1:9/proxy/", 503, "error trying to reach service: dial tcp 10.0.0.1:9: connect: connection refused"),
        ("pods/web-1:x/proxy/", 400, '"x" is not a port number (1-65535)'),
        ("pods/new/proxy/", 503, "pod new has no IP yet"),
        ("pods/nope/proxy/", 404, 'pods "nope" not found'),
        ("services/a:b:c:d/proxy/", 400, 'invalid service request "a:b:c:d"'),
        ("services/nope/proxy/", 404, 'services "nope" not found'),
    ],
)
def test_what_cannot_be_reached(http: httpx.Client, path: str, code: int, words: str) -> None:
    answer = http.get(f"{NAMESPACE}/{path}")

    assert words in answer.json()["message"]
    assert answer.status_code == code
