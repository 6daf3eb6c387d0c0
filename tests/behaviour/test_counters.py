"""Envoy's counters through ``pilot-agent request``: few by default, those that a pod's annotation asks for besides."""

from __future__ import annotations

import json

from tests.behaviour.world import HOST, NAMESPACE, World

CLUSTER = f"cluster.outbound|80||{HOST};"


def value(world: World, name: str) -> int:
    lines = world.admin("client", "stats").splitlines()
    [found] = [line for line in lines if line.startswith(f"{CLUSTER}.{name}: ")]
    return int(found.rpartition(": ")[2])


def names(world: World, source: str) -> set[str]:
    world.many(3, f"http://server.{NAMESPACE}/", source=source)
    return {line.partition(": ")[0] for line in world.admin(source, "stats").splitlines()}


def test_few_counters_are_published_by_default(world: World) -> None:
    found = names(world, "other")
    assert {"cluster_manager.cds.update_success", "listener_manager.lds.update_success", "server.live"} <= found
    assert not [name for name in found if CLUSTER in name]
    assert not [name for name in found if "downstream_rq_2xx" in name]


def test_an_annotation_asks_for_more(world: World) -> None:
    found = names(world, "client")
    for name in ("upstream_rq_200", "upstream_rq_pending_overflow", "circuit_breakers.default.rq_pending_open"):
        assert f"{CLUSTER}.{name}" in found
    assert not [name for name in found if "outlier_detection" in name]  # nobody asked for outlier detection


def test_older_annotations_ask_for_more_too(world: World) -> None:
    shown, of_other = names(world, "client"), names(world, "other")
    assert {"filesystem.write_completed", "filesystem.reopen_failed"} <= shown
    assert f"{CLUSTER}.upstream_rq_200" in shown  # what the other annotation says of prefixes stands
    assert not [name for name in shown if name.startswith("filesystem.flushed")]
    assert not [name for name in of_other if name.startswith("filesystem.")]


def test_counters_count(world: World) -> None:
    world.many(1)
    before = value(world, "upstream_rq_200")
    world.many(7)
    assert value(world, "upstream_rq_200") == before + 7


def test_counters_of_requests_appear_with_the_first_one(world: World) -> None:
    world.apply("""
apiVersion: v1
kind: Service
metadata: {name: quiet}
spec: {selector: {app: server}, ports: [{name: http, port: 80, targetPort: 8080}]}
""")

    def shown() -> set[str]:
        lines = world.admin("client", "stats").splitlines()
        return {line.partition(";.")[2].partition(":")[0] for line in lines if f"|quiet.{NAMESPACE}.svc" in line}

    assert "circuit_breakers.default.rq_pending_open" in shown()
    assert "upstream_rq_pending_overflow" not in shown()
    assert world.get("http://quiet/").status == 200
    assert "upstream_rq_pending_overflow" in shown()


def test_the_pages_that_people_look_at(world: World) -> None:
    assert f"outbound|80||{HOST}::default_priority::max_connections::4294967295" in world.admin("client", "clusters")
    query = f"config_dump?resource=dynamic_active_clusters&name_regex=.*server.{NAMESPACE}.*"
    [cluster] = [one["cluster"] for one in json.loads(world.admin("client", query))["configs"]]
    assert cluster["name"] == f"outbound|80||{HOST}"
    assert json.loads(world.admin("client", "server_info"))["state"] == "LIVE"
    assert "  router: warning" in world.admin("client", "logging?router=warning", "POST")
