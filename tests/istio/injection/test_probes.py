from __future__ import annotations

import json
from typing import Any

from meshdojo.istio.injection.probes import rewrite

JSON = dict[str, Any]


def app(**fields: Any) -> JSON:
    return {"name": "app", "ports": [{"name": "web", "containerPort": 8080}], **fields}


def only(container: JSON) -> tuple[JSON, JSON]:
    (changed,), answers = rewrite([container], 15020)
    return changed, json.loads(answers or "{}")


def test_an_http_probe_of_a_named_port() -> None:
    probe = {"httpGet": {"path": "/ok", "port": "web", "scheme": "HTTPS", "httpHeaders": [{"name": "a", "value": "b"}]}}
    changed, answers = only(app(livenessProbe={**probe, "periodSeconds": 3, "timeoutSeconds": 2}))
    assert changed["livenessProbe"]["httpGet"] == {
        "path": "/app-health/app/livez",
        "port": 15020,
        "scheme": "HTTP",
        "httpHeaders": [{"name": "a", "value": "b"}],
    }
    assert changed["livenessProbe"]["periodSeconds"] == 3
    assert answers == {"/app-health/app/livez": {"httpGet": {**probe["httpGet"], "port": 8080}, "timeoutSeconds": 2}}


def test_tcp_and_grpc_probes_become_http() -> None:
    changed, answers = only(app(startupProbe={"tcpSocket": {"port": 8080}}, readinessProbe={"grpc": {"port": 9000}}))
    assert changed["startupProbe"] == {"httpGet": {"path": "/app-health/app/startupz", "port": 15020}}
    assert answers["/app-health/app/startupz"] == {"tcpSocket": {"port": 8080}}
    assert answers["/app-health/app/readyz"] == {"grpc": {"port": 9000}}


def test_commands_and_unknown_ports_stay() -> None:
    container = app(livenessProbe={"exec": {"command": ["true"]}}, readinessProbe={"httpGet": {"port": "nowhere"}})
    assert only(container) == (container, {})


def test_lifecycle_hooks_by_http() -> None:
    hooks = {"preStop": {"httpGet": {"path": "/bye", "port": 8080}}, "postStart": {"exec": {"command": ["true"]}}}
    changed, answers = only(app(lifecycle=hooks))
    assert changed["lifecycle"]["preStop"]["httpGet"]["path"] == "/app-lifecycle/app/prestopz"
    assert changed["lifecycle"]["postStart"] == hooks["postStart"]
    assert list(answers) == ["/app-lifecycle/app/prestopz"]


def test_the_proxys_own_probe_stays() -> None:
    proxy = {"name": "istio-proxy", "readinessProbe": {"httpGet": {"path": "/healthz/ready", "port": 15021}}}
    assert only(proxy) == (proxy, {})
