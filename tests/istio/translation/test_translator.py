"""What is made anew after a change, and what proxies share."""

from __future__ import annotations

from tests.istio.world import feed, service_objects

from meshdojo.istio.ca import CertificateAuthority
from meshdojo.istio.proxy import Proxy
from meshdojo.istio.resource import CDS, EDS, LDS, RDS, SDS, Resource
from meshdojo.istio.state import State
from meshdojo.istio.translation.translator import Cache, Translation

AUTHORITY = CertificateAuthority.create()
ONE = Proxy("sidecar", "127.64.1.1", "one", "fleet")
TWO = Proxy("sidecar", "127.64.1.2", "two", "fleet")
TYPES = (CDS, EDS, LDS, RDS, SDS)


def everything(state: State, cache: Cache, proxy: Proxy) -> dict[tuple[str, str], Resource]:
    translation = Translation(state.snapshot(), AUTHORITY, cache)
    return {(kind, name): one for kind in TYPES for name, one in translation.resources(proxy, kind, None).items()}


def state() -> State:
    found = State()
    for number, (name, port) in enumerate({"web": 8080, "api": 8080, "other": 9090}.items(), 1):
        feed(found, service_objects(name, f"127.200.1.{number}", {"app": name}, [], [("http", port, 8080)]))
    feed(found, virtual_service("v1"))
    return found


def virtual_service(subset: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web}}
spec: {{hosts: [web], http: [{{route: [{{destination: {{host: web, subset: {subset}}}}}]}}]}}
"""


def changed(before: dict[tuple[str, str], Resource], after: dict[tuple[str, str], Resource]) -> set[tuple[str, str]]:
    return {key for key in before.keys() | after.keys() if before.get(key) is not after.get(key)}


def test_a_changed_route_makes_one_route_configuration_anew() -> None:
    cluster, cache = state(), Cache()
    before = everything(cluster, cache, ONE)
    feed(cluster, virtual_service("v2"))
    cache.age()
    assert changed(before, everything(cluster, cache, ONE)) == {(RDS, "8080")}


def test_a_changed_rule_makes_its_hosts_clusters_anew() -> None:
    cluster, cache = state(), Cache()
    before = everything(cluster, cache, ONE)
    feed(
        cluster,
        """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec: {host: web, subsets: [{name: v1, labels: {version: v1}}]}
""",
    )
    cache.age()
    names = {name for kind, name in changed(before, everything(cluster, cache, ONE)) if kind in (CDS, EDS)}
    host = "web.fleet.svc.cluster.local"
    assert names == {f"outbound|8080||{host}", f"outbound|8080|v1|{host}"}


def test_proxies_that_see_the_same_share_it() -> None:
    cluster, cache = state(), Cache()
    one, two = everything(cluster, cache, ONE), everything(cluster, cache, TWO)
    assert {kind for kind, _ in changed(one, two)} == {LDS}


def test_versions_follow_the_content_alone() -> None:
    first, second = everything(state(), Cache(), ONE), everything(state(), Cache(), ONE)
    assert {key: one.version for key, one in first.items()} == {key: one.version for key, one in second.items()}


def test_what_nobody_asks_for_is_forgotten() -> None:
    cache = Cache()
    made: list[int] = []
    cache.get("a", lambda: made.append(1))
    cache.age()
    cache.get("a", lambda: made.append(2))
    cache.age()
    cache.age()
    cache.get("a", lambda: made.append(3))
    assert made == [1, 3]
