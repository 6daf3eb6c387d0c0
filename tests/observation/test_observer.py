"""The observer: nodes follow the objects, numbers follow the logs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.observation.mesh import Mesh, line, until
from tests.observation.samples import pod

from meshdojo.observation import observer as module
from meshdojo.observation.accesslog import Entry
from meshdojo.observation.observer import FROM_LOGS, NO_LOGS, Observer

pytestmark = pytest.mark.anyio

GATEWAY_POD = "istio-system/istio-ingressgateway-569fd9879c-58xjk"
WEB_POD = "fleet/web-original-5fd64b597f-mc57r"
TO_WEB = "outbound|80||web.fleet.svc.cluster.local"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COALESCE_SECONDS", "RETRY_SECONDS"):
        monkeypatch.setattr(module, name, 0.0)


@pytest.fixture
def mesh() -> Mesh:
    return Mesh()


@pytest.fixture
async def observer(mesh: Mesh) -> AsyncIterator[Observer]:
    async with Observer(mesh) as observer:  # type: ignore[arg-type]
        await until(lambda: {GATEWAY_POD, WEB_POD} <= mesh.following)
        yield observer
    assert not mesh.following  # nothing is left behind


def nodes(observer: Observer) -> set[str]:
    return {node["id"] for node in observer.picture()["nodes"]}


async def test_it_shows_what_is_there_and_reads_the_logs_of_proxies_alone(mesh: Mesh, observer: Observer) -> None:
    assert {"service/fleet/web", "service/fleet/api", "workload/fleet/client"} <= nodes(observer)
    found = observer.find("10.0.0.3")
    assert found
    assert (found[0].id, found[1].version) == ("service/fleet/web", "experimental")
    assert observer.find("10.9.9.9") is None
    assert not any("client" in name or "outside" in name for name in mesh.following)


async def test_a_request_is_counted_and_handed_to_who_reads(mesh: Mesh, observer: Observer) -> None:
    seen: list[tuple[str, Entry]] = []
    with observer.reading(lambda name, entry: seen.append((name, entry))):
        mesh.log(GATEWAY_POD, "something else that a proxy says")
        mesh.log(GATEWAY_POD, line("one", TO_WEB, "10.0.0.2:8080", "10.9.9.9:999", code=503))
        await until(lambda: len(seen) == 1)
    assert (seen[0][0], seen[0][1].request_id, seen[0][1].code) == (GATEWAY_POD, "one", 503)
    (way,) = [way for way in observer.picture()["ways"] if way["target"] == "service/fleet/web" and way["total"]]
    assert (way["source"], way["total"], way["errors"]) == ("gateway/istio-system/istio-ingressgateway", 1, 1.0)
    mesh.log(GATEWAY_POD, line("two", TO_WEB, "10.0.0.2:8080", "10.9.9.9:999"))
    await until(lambda: len(observer.entries) == 2)
    assert len(seen) == 1  # nobody reads any more


async def test_pods_come_and_go_and_their_logs_with_them(mesh: Mesh, observer: Observer) -> None:
    late = pod("late-5fd64b597f-abcde", "10.0.0.20", app="late")
    mesh.change("ADDED", "pods", late)
    await until(lambda: "fleet/late-5fd64b597f-abcde" in mesh.following)
    assert "workload/fleet/late" in nodes(observer)
    mesh.change("DELETED", "pods", late)
    await until(lambda: "fleet/late-5fd64b597f-abcde" not in mesh.following)
    await until(lambda: "workload/fleet/late" not in nodes(observer))


async def test_a_log_that_breaks_off_is_read_on(mesh: Mesh, observer: Observer) -> None:
    mesh.log(WEB_POD, None)
    await until(lambda: mesh.breaks == 1 and WEB_POD in mesh.following)
    mesh.log(WEB_POD, line("one", "inbound|8080||", "10.0.0.2:8080", "10.0.0.5:999"))
    await until(lambda: len(observer.entries) == 1)


async def test_each_picture_differs_from_the_one_before(mesh: Mesh, observer: Observer) -> None:
    pictures = observer.pictures()
    first = await anext(pictures)
    mesh.change("ADDED", "pods", pod("late-5fd64b597f-abcde", "10.0.0.20", app="late"))
    second = await anext(pictures)
    assert {node["id"] for node in second["nodes"]} - {node["id"] for node in first["nodes"]} == {"workload/fleet/late"}
    await pictures.aclose()  # type: ignore[attr-defined]


async def test_it_says_where_the_numbers_come_from() -> None:
    for mesh_config, words in (("accessLogFile: /dev/stdout", FROM_LOGS), ("enableTracing: true", NO_LOGS)):
        mesh = Mesh()
        metadata = {"name": "istio", "namespace": "istio-system"}
        mesh.objects["configmaps"] = [{"metadata": metadata, "data": {"mesh": mesh_config}}]
        async with Observer(mesh) as observer:  # type: ignore[arg-type]
            await until(lambda observer=observer, words=words: observer.picture()["source"] == words)  # type: ignore[misc]
