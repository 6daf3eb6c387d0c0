"""From objects and log entries to the graph."""

from __future__ import annotations

from typing import Any

from tests.observation.samples import (
    CANARY,
    EDGE,
    PODS,
    RULE,
    SERVICES,
    into,
    out,
    pod,
    resource,
    service,
)

from meshdojo.observation import policies
from meshdojo.observation.accesslog import Entry
from meshdojo.observation.details import in_effect
from meshdojo.observation.picture import draw
from meshdojo.observation.policies import Config
from meshdojo.observation.traffic import WINDOW_SECONDS, Traffic
from meshdojo.observation.workloads import by_address, groups, workload_name

GATEWAY, WEB, API = "gateway/istio-system/istio-ingressgateway", "service/fleet/web", "service/fleet/api"
CLIENT = "workload/fleet/client"


class World:
    """A mesh whose proxies log what a test says, at a time that it sets."""

    def __init__(self, config: Config | None = None) -> None:
        self.now = 100.0
        self.config = config or Config()
        self.groups = groups(SERVICES, PODS)
        self.traffic = Traffic(lambda: self.now)

    def logs(self, workload: str, *entries: Entry) -> None:
        addresses = by_address(self.groups)
        hosts = {f"{one.name}.{one.namespace}.svc.cluster.local": one.id for one in self.groups if one.service}
        reporter = next((g, w) for g in self.groups for w in g.workloads if w.name == workload)
        for entry in entries:
            self.traffic.add(entry, reporter, addresses, hosts)

    def picture(self) -> dict[str, Any]:
        return draw(self.groups, self.config, self.traffic.flows, self.now, "logs")

    def way(self, source: str, target: str) -> dict[str, Any]:
        found: dict[str, Any] = next(
            way for way in self.picture()["ways"] if (way["source"], way["target"]) == (source, target)
        )
        return found

    def version(self, node: str, name: str) -> dict[str, Any]:
        versions = next(one for one in self.picture()["nodes"] if one["id"] == node)["versions"]
        found: dict[str, Any] = next(one for one in versions if one["name"] == name)
        return found


def test_services_take_their_pods_and_system_pods_are_nobodys() -> None:
    found = {group.id: [workload.name for workload in group.workloads] for group in groups(SERVICES, PODS)}
    assert found == {
        WEB: ["web-experimental", "web-original"],
        API: ["api"],
        GATEWAY: ["istio-ingressgateway"],
        CLIENT: ["client"],
    }


def test_a_pod_that_two_services_select_is_shown_at_the_wider_one() -> None:
    found = groups([*SERVICES, service("web-canary", app="web", version="experimental")], PODS)
    sizes = {group.name: len(group.workloads) for group in found if group.service}
    assert (sizes["web"], sizes["web-canary"]) == (2, 0)


def test_names_lose_what_controllers_made_up() -> None:
    assert [workload_name(one) for one in PODS[:2]] == ["istio-ingressgateway", "web-original"]
    assert workload_name({"metadata": {"name": "plain"}}) == "plain"


def test_a_request_that_two_proxies_log_counts_once() -> None:
    world = World()
    world.logs("istio-ingressgateway", out("web", "10.0.0.2", "192.0.2.1"))
    world.logs("web-original", into("192.0.2.1", port="0", encrypted=True), out("api", "10.0.0.4", "10.0.0.2"))
    world.logs("api", into("10.0.0.2", encrypted=True))
    assert world.way("outside", GATEWAY)["total"] == 1
    assert world.way(GATEWAY, WEB)["total"] == 1
    assert world.way(GATEWAY, WEB)["mtls"] is True
    assert world.way(WEB, API)["total"] == 1
    assert world.way(WEB, API)["mtls"] is True
    assert world.version(WEB, "web-original")["rate"] == round(1 / WINDOW_SECONDS, 1)
    assert world.version(WEB, "web-experimental")["rate"] == 0


def test_a_caller_without_proxy_is_known_from_the_callees_log() -> None:
    world = World()
    world.logs("web-original", into("10.0.0.5"))
    way = world.way(CLIENT, WEB)
    assert (way["total"], way["mtls"]) == (1, False)


def test_errors_and_latency_are_of_the_last_seconds() -> None:
    world = World()
    world.logs("istio-ingressgateway", *(out("web", "10.0.0.2", "192.0.2.1", duration=5.0) for _ in range(19)))
    world.logs("istio-ingressgateway", out("web", "10.0.0.2", "192.0.2.1", code=503, duration=900.0))
    way = world.way(GATEWAY, WEB)
    assert (way["rate"], way["errors"], way["median"], way["p95"]) == (4.0, 0.05, 5, 900)
    assert way["codes"] == {"200": 19, "503": 1}
    world.now += WINDOW_SECONDS
    way = world.way(GATEWAY, WEB)
    assert (way["rate"], way["errors"], way["total"]) == (0.0, 0.0, 20)  # it stays on the picture, at rest


def test_requests_that_reach_no_pod_are_failures_of_the_service() -> None:
    world = World()
    world.logs("web-original", out("api", "", "10.0.0.2", code=503, flags=("UH",)))
    assert world.way(WEB, API)["errors"] == 1.0


def test_strangers_are_nodes_of_their_own() -> None:
    world = World()
    world.logs("web-original", out("x", "", "10.0.0.2", authority="example.com:443"))
    assert {node["id"] for node in world.picture()["nodes"]} >= {"external//x.fleet.svc.cluster.local"}


def test_weights_faults_and_what_else_a_route_says() -> None:
    world = World(Config(virtual_services=(CANARY,), destination_rules=(RULE,), gateways=(EDGE,)))
    assert world.version(WEB, "web-original")["weight"] == 90
    assert world.version(WEB, "web-experimental")["weight"] == 10
    node = next(node for node in world.picture()["nodes"] if node["id"] == WEB)
    assert node["faults"] == ["delay 2s, 50 % if a condition is met"]
    assert node["notes"] == ["timeout 3s"]
    assert world.way(GATEWAY, WEB)["total"] == 0  # a route leads there, though nobody has gone yet


def test_without_a_route_there_are_no_weights() -> None:
    assert World().version(WEB, "web-original")["weight"] is None


def test_the_nearest_policy_decides_and_of_two_the_older_one() -> None:
    mesh = resource("PeerAuthentication", "default", {"mtls": {"mode": "STRICT"}}, "istio-system")
    space = resource("PeerAuthentication", "default", {"mtls": {"mode": "PERMISSIVE"}}, created="2026-02-01")
    later = resource("PeerAuthentication", "later", {"mtls": {"mode": "DISABLE"}}, created="2026-03-01")
    own = resource(
        "PeerAuthentication", "api", {"selector": {"matchLabels": {"app": "api"}}, "mtls": {"mode": "STRICT"}}
    )
    config = Config(peer_authentications=(own, later, space, mesh))
    assert config.mtls("fleet", {"app": "web"}) == "PERMISSIVE"
    assert config.mtls("fleet", {"app": "api"}) == "STRICT"
    assert config.mtls("other", {}) == "STRICT"
    assert Config().mtls("fleet", {}) == "PERMISSIVE"


def test_a_missing_sidecar_and_a_pod_that_is_not_ready_show() -> None:
    pods = [*PODS, pod("api-9b79965fc-aaaaa", "10.0.0.9", app="api", version="v1", sidecar=False, ready=False)]
    found = draw(groups(SERVICES, pods), Config(), {}, 0.0, "logs")
    version = next(node for node in found["nodes"] if node["id"] == API)["versions"][0]
    assert (version["pods"], version["ready"], version["sidecars"]) == (2, 1, 1)


def test_what_is_in_effect_for_a_node() -> None:
    config = Config(virtual_services=(CANARY,), destination_rules=(RULE,), gateways=(EDGE,))
    of = {group.id: [f"{obj['kind']}" for obj in in_effect(group, config)] for group in groups(SERVICES, PODS)}
    assert of[WEB] == ["VirtualService", "DestinationRule"]
    assert of[GATEWAY] == ["Gateway", "VirtualService"]
    assert of[API] == []


def test_aborts_without_a_percentage_never_fire_and_say_so() -> None:
    route = {"route": [{"destination": {"host": "api"}}], "fault": {"abort": {"httpStatus": 503}}}
    config = Config(virtual_services=(resource("VirtualService", "api", {"hosts": ["api"], "http": [route]}),))
    assert policies.faults(config, "fleet", "api") == ["abort 503, 0 %"]
