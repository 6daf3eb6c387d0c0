from tests.istio.world import service_objects, snapshot

from meshdojo.istio.proxy import Proxy
from meshdojo.istio.translation.scope import Scope, scope_key, scope_of

PROXY = Proxy("sidecar", "127.64.1.1", "client", "fleet")
SERVICES = (
    service_objects("web", "127.200.1.1", {}, [])
    + "\n---\n"
    + service_objects("api", "127.200.1.2", {}, [], namespace="other")
)


def sidecar(spec: str, name: str = "default", namespace: str = "fleet") -> str:
    return f"""
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: {name}, namespace: {namespace}}}
spec: {spec}
"""


def scope(objects: str = "", labels: dict[str, str] | None = None) -> Scope:
    return scope_of(snapshot(SERVICES + objects), PROXY, labels or {})


def names(found: Scope) -> set[str]:
    return {one.name for one in found.services.values()}


def test_everything_is_seen_by_default() -> None:
    assert names(scope()) == {"web", "api"}


def test_a_sidecar_limits_what_is_seen() -> None:
    assert names(scope(sidecar('{egress: [{hosts: ["./*"]}]}'))) == {"web"}
    assert names(scope(sidecar('{egress: [{hosts: ["other/*"]}]}'))) == {"api"}
    assert names(scope(sidecar('{egress: [{hosts: ["*/api.other.svc.cluster.local"]}]}'))) == {"api"}


def test_a_workloads_sidecar_beats_the_namespaces_and_that_the_roots() -> None:
    objects = (
        sidecar('{egress: [{hosts: ["./*"]}]}')
        + sidecar('{workloadSelector: {labels: {app: x}}, egress: [{hosts: ["other/*"]}]}', "own")
        + sidecar('{egress: [{hosts: ["~/*"]}]}', "root", "istio-system")
    )
    assert names(scope(objects)) == {"web"}
    assert names(scope(objects, {"app": "x"})) == {"api"}
    assert names(scope(sidecar('{egress: [{hosts: ["~/*"]}]}', "root", "istio-system"))) == set()


def test_a_sidecar_decides_about_unknown_hosts() -> None:
    assert scope().outbound_mode == "ALLOW_ANY"
    assert scope(sidecar("{outboundTrafficPolicy: {mode: REGISTRY_ONLY}}")).outbound_mode == "REGISTRY_ONLY"


def test_the_key_is_shared_by_those_who_see_the_same() -> None:
    found = snapshot(SERVICES + sidecar('{workloadSelector: {labels: {app: x}}, egress: [{hosts: ["./*"]}]}'))
    neighbour = Proxy("sidecar", "127.64.1.2", "other", "fleet")
    assert scope_key(found, PROXY, {}) == scope_key(found, neighbour, {"app": "y"})
    assert scope_key(found, PROXY, {}) != scope_key(found, neighbour, {"app": "x"})


def test_virtual_services_that_are_not_exported_are_not_seen() -> None:
    objects = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: secret, namespace: other}
spec: {hosts: [web.fleet.svc.cluster.local], exportTo: ["."]}
"""
    assert scope(objects).virtual_services == ()
