"""A small mesh in objects: web in two versions, api, a gateway, a client without sidecar."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from meshdojo.observation.accesslog import Entry

Object = dict[str, Any]


def pod(
    name: str, address: str, namespace: str = "fleet", *, sidecar: bool = True, ready: bool = True, **labels: str
) -> Object:
    containers = [{"name": "app"}]
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": name, "labels": labels},
        "spec": {"containers": containers, "initContainers": [{"name": "istio-proxy"}] if sidecar else []},
        "status": {
            "podIP": address,
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def service(name: str, namespace: str = "fleet", **selector: str) -> Object:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"selector": selector}}


def gateway_pod(name: str = "istio-ingressgateway-569fd9879c-58xjk") -> Object:
    found = pod(name, "10.0.0.1", "istio-system", sidecar=False, istio="ingressgateway", app="istio-ingressgateway")
    return {**found, "spec": {"containers": [{"name": "istio-proxy"}]}}


PODS = [
    gateway_pod(),
    pod("web-original-5fd64b597f-mc57r", "10.0.0.2", app="web", version="original"),
    pod("web-experimental-84f5b7df46-q2m5x", "10.0.0.3", app="web", version="experimental"),
    pod("api-9b79965fc-bfpx7", "10.0.0.4", app="api", version="v1"),
    pod("client-7c7fb9967f-fz64b", "10.0.0.5", sidecar=False, app="client"),
]
SERVICES = [
    service("web", app="web"),
    service("api", app="api"),
    service("istio-ingressgateway", "istio-system", istio="ingressgateway"),
    service("istiod", "istio-system", app="istiod"),
]


def resource(kind: str, name: str, spec: Object, namespace: str = "fleet", created: str = "2026-01-01") -> Object:
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": created}
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


RULE = resource(
    "DestinationRule",
    "web",
    {
        "host": "web",
        "subsets": [
            {"name": "original", "labels": {"version": "original"}},
            {"name": "experimental", "labels": {"version": "experimental"}},
        ],
    },
)
CANARY = resource(
    "VirtualService",
    "web",
    {
        "hosts": ["*"],
        "gateways": ["edge"],
        "http": [
            {
                "match": [{"headers": {"x-preview": {"exact": "yes"}}}],
                "route": [{"destination": {"host": "web", "subset": "experimental"}}],
                "fault": {"delay": {"fixedDelay": "2s", "percentage": {"value": 50}}},
            },
            {
                "timeout": "3s",
                "route": [
                    {"destination": {"host": "web", "subset": "original"}, "weight": 90},
                    {"destination": {"host": "web.fleet.svc.cluster.local", "subset": "experimental"}, "weight": 10},
                ],
            },
        ],
    },
)
EDGE = resource("Gateway", "edge", {"selector": {"istio": "ingressgateway"}})

ENTRY = Entry(
    at=0.0,
    method="GET",
    path="/",
    protocol="HTTP/1.1",
    code=200,
    flags=(),
    details="via_upstream",
    duration=4.0,
    service_time=3.0,
    request_id="one",
    authority="web",
    forwarded_for="",
    user_agent="",
    upstream="",
    cluster="",
    local="",
    caller="",
    server_name="",
    route="",
    received=0,
    sent=0,
    failure="",
)


def out(cluster_host: str, upstream: str, caller: str, **more: Any) -> Entry:
    host = f"outbound|80||{cluster_host}.fleet.svc.cluster.local"
    return replace(ENTRY, cluster=host, upstream=f"{upstream}:8080" if upstream else "", caller=f"{caller}:999", **more)


def into(caller: str, *, port: str = "999", encrypted: bool = False, **more: Any) -> Entry:
    name = "outbound_.80_._.web.fleet.svc.cluster.local" if encrypted else ""
    return replace(ENTRY, cluster="inbound|8080||", caller=f"{caller}:{port}", server_name=name, **more)
