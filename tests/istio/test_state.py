import pytest
from tests.istio.world import feed, objects, pod_object, service_objects, snapshot

from meshdojo.istio.state import State

VIRTUAL_SERVICE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, resourceVersion: "7"}
spec: {hosts: [web]}
"""
WEB = "web.fleet.svc.cluster.local"


def test_nothing_new_is_the_same_snapshot() -> None:
    state = State()
    feed(state, VIRTUAL_SERVICE)
    before = state.snapshot()
    assert state.snapshot() is before
    feed(state, VIRTUAL_SERVICE)
    assert state.snapshot() is not before


def test_only_what_changed_is_made_anew() -> None:
    state = State()
    feed(state, service_objects("web", "127.200.1.1", {"app": "web"}, []))
    feed(state, VIRTUAL_SERVICE)
    before = state.snapshot()
    feed(state, VIRTUAL_SERVICE)
    after = state.snapshot()
    assert after.services is before.services
    assert after.destination_rules is before.destination_rules
    assert after.virtual_services is not before.virtual_services


def test_a_pod_that_only_changes_its_status_changes_nothing() -> None:
    state = State()
    pod = pod_object("web-1", "fleet", "127.64.1.1", {"app": "web"}, 8080, True)
    state.apply("pods", None, pod)
    before = state.snapshot()
    state.apply("pods", pod, {**pod, "status": {**pod["status"], "conditions": [{"type": "Ready"}]}})
    assert state.snapshot() is before


def test_endpoints_take_labels_and_identity_from_their_pods() -> None:
    state = State()
    feed(state, service_objects("web", "127.200.1.1", {"app": "web"}, []))
    labels = {"app": "web", "version": "v1", "security.istio.io/tlsMode": "istio"}
    [_, piece] = objects(service_objects("web", "127.200.1.1", {"app": "web"}, []))
    target = {"kind": "Pod", "name": "web-1"}
    piece["endpoints"] = [{"addresses": ["127.64.1.1"], "conditions": {"ready": True}, "targetRef": target}]
    state.apply("endpointslices.discovery.k8s.io", None, piece)
    assert state.snapshot().endpoints_of(WEB).items[0].identity == ""
    state.apply("pods", None, pod_object("web-1", "fleet", "127.64.1.1", labels, 8080, True))
    [endpoint] = state.snapshot().endpoints_of(WEB).items
    assert endpoint.labels["version"] == "v1"
    assert endpoint.identity == "spiffe://cluster.local/ns/fleet/sa/web-1"
    piece["endpoints"][0]["conditions"]["ready"] = False
    state.apply("endpointslices.discovery.k8s.io", piece, piece)
    assert state.snapshot().endpoints_of(WEB).items == ()


def test_a_deleted_service_takes_its_endpoints_along() -> None:
    state = State()
    [service, piece] = objects(service_objects("web", "127.200.1.1", {"app": "web"}, []))
    state.apply("services", None, service)
    state.apply("endpointslices.discovery.k8s.io", None, piece)
    assert WEB in state.snapshot().endpoints
    state.apply("services", service, None)
    found = state.snapshot()
    assert WEB not in found.endpoints
    assert WEB not in found.services.by_host


def test_the_oldest_of_a_kind_comes_first() -> None:
    young = VIRTUAL_SERVICE.replace('"7"', '"7", creationTimestamp: "2026-02-01T00:00:00Z"')
    old = VIRTUAL_SERVICE.replace("name: web", "name: zebra")
    names = [one.name for one in snapshot(f"{young}\n---\n{old}").virtual_services]
    assert names == ["zebra", "web"]


def test_an_object_that_cannot_be_read_is_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    found = snapshot(VIRTUAL_SERVICE.replace("hosts: [web]", "hosts: web"))
    assert found.virtual_services.items == ()
    assert "VirtualService fleet/web is ignored: spec.hosts" in caplog.text


def test_versions_of_objects() -> None:
    found = snapshot(VIRTUAL_SERVICE)
    assert found.version_of("VirtualService/fleet/web") == "7"
    assert found.version_of("VirtualService/fleet/other") == ""


def test_a_service_entry_with_addresses() -> None:
    found = snapshot("""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: out}
spec:
  hosts: [out.example]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  resolution: STATIC
  endpoints: [{address: 192.0.2.1, labels: {version: v1}}]
""")
    service = found.services.by_host["out.example"]
    assert (service.external, service.resolution) == (True, "endpoints")
    [endpoint] = found.endpoints_of("out.example").items
    assert (endpoint.address, endpoint.ports["http"], endpoint.pod) == ("192.0.2.1", 8080, False)


def test_mesh_config_is_read_and_broken_one_keeps_the_defaults() -> None:
    assert snapshot("", "outboundTrafficPolicy: {mode: REGISTRY_ONLY}").mesh.outbound_mode == "REGISTRY_ONLY"
    assert snapshot("", "- no\n- mapping").mesh.outbound_mode == "ALLOW_ANY"
    assert snapshot("", "a: [").mesh.trust_domain == "cluster.local"
