import asyncio
import errno
import itertools
from typing import Any

import httpx
import pytest

from fleet import arrivals, gateway, positions, service, staff, web
from fleet.headers import forwarding
from fleet.identity import Identity
from fleet.upstream import Upstream

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return "asyncio"


class Wire(httpx.ASGITransport):
    """Connects one service to the next, and keeps what went over the wire."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.seen: list[httpx.Request] = []

    async def handle_async_request(self, request: Any) -> Any:
        self.seen.append(request)
        return await super().handle_async_request(request)

    async def exchange(self, path: Any, headers: Any) -> Any:
        async with httpx.AsyncClient(transport=self, base_url="http://any") as client:
            answer = await client.get(path, headers=headers)
        return answer.status_code, answer.text


class Dead:
    async def exchange(self, path: Any, headers: Any) -> Any:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")


class Plain:
    """What Envoy answers in place of a service."""

    def __init__(self, status: Any = 503, text: Any = "no healthy upstream") -> None:
        self._answer = status, text

    async def exchange(self, path: Any, headers: Any) -> Any:
        return self._answer


def identity(service: Any, version: Any = "original") -> Any:
    return Identity(service, version, f"{service}-1")


class Fleet:
    def __init__(
        self, version: Any = "original", staff_wire: Any = None, positions_wire: Any = None, optional: Any = False
    ) -> None:
        self.positions = positions_wire or Wire(positions.build(identity("position-tracker")))
        self.staff = staff_wire or Wire(staff.build(identity("staff-service")))
        self.gateway = Wire(
            gateway.build(
                identity("api-gateway"),
                Upstream("position-tracker", "http://p", exchange=self.positions.exchange),
                Upstream("staff-service", "http://s", exchange=self.staff.exchange),
                optional,
            )
        )
        app = web.build(identity("web", version), Upstream("api-gateway", "http://g", exchange=self.gateway.exchange))
        self.client = httpx.AsyncClient(transport=Wire(app), base_url="http://web")


async def test_every_answer_names_who_answered() -> None:
    answer = await Fleet().client.get("/version")
    assert answer.json() == {"service": "web", "version": "original", "pod": "web-1"}


async def test_every_service_shows_the_headers_that_reached_it() -> None:
    for wire in ((fleet := Fleet()).positions, fleet.staff, fleet.gateway):
        async with httpx.AsyncClient(transport=wire, base_url="http://any") as client:
            answer = (await client.get("/headers", headers={"X-Forwarded-Client-Cert": "By=a;URI=b"})).json()
        assert answer["headers"]["x-forwarded-client-cert"] == "By=a;URI=b"
        assert answer["service"] in ("position-tracker", "staff-service", "api-gateway")


async def test_a_request_can_be_followed_hop_by_hop() -> None:
    body = (await Fleet().client.get("/api/vehicles")).json()
    [hop] = body["upstreams"]
    assert (hop["service"], hop["pod"], hop["status"]) == ("api-gateway", "api-gateway-1", 200)
    assert [next_hop["service"] for next_hop in hop["upstreams"]] == ["position-tracker", "staff-service"]
    assert {vehicle["name"] for vehicle in body["vehicles"]} == set(positions.ROUNDS) == set(staff.DRIVERS)


async def test_tracing_and_release_headers_reach_the_last_service_and_others_do_not() -> None:
    fleet = Fleet()
    sent = {
        "x-request-id": "r1",
        "traceparent": "00-1-2-01",
        "baggage": "run=r1",
        "b3": "1-2",
        "x-b3-traceid": "t",
        "x-fleet-preview": "experimental",
    }
    await fleet.client.get("/api/vehicles/city-truck", headers=sent | {"x-other": "stays"})
    for wire in (fleet.gateway, fleet.positions, fleet.staff):
        [request] = wire.seen
        assert {name: request.headers.get(name) for name in sent} == sent
        assert "x-other" not in request.headers


async def test_an_answer_shows_how_far_a_release_header_came() -> None:
    fleet = Fleet()
    fleet.gateway.app = gateway.build(
        identity("api-gateway"),
        Upstream(
            "position-tracker",
            "http://p",
            exchange=fleet.positions.exchange,
            forward=forwarding({"FORWARD_HEADERS": "b3"}),
        ),
        Upstream("staff-service", "http://s", exchange=fleet.staff.exchange),
    )
    body = (await fleet.client.get("/api/vehicles", headers={"x-fleet-preview": "v2"})).json()
    [hop] = body["upstreams"]
    assert body["received"] == hop["received"] == {"x-fleet-preview": "v2"}
    assert [one.get("received") for one in hop["upstreams"]] == [None, {"x-fleet-preview": "v2"}]
    assert "received" not in (await fleet.client.get("/api/vehicles")).json()


@pytest.mark.parametrize(
    ("environment", "handed_on"),
    [
        ({}, {"x-request-id", "x-fleet-preview"}),
        ({"FORWARD_HEADERS": ""}, set()),
        ({"FORWARD_HEADERS": "X-Request-Id, other"}, {"x-request-id"}),
        ({"FORWARD_HEADERS": "x-fleet-*"}, {"x-fleet-preview"}),
        ({"FORWARD_HEADERS": "x-fleet-preview,accept"}, {"x-fleet-preview", "accept"}),
    ],
)
def test_the_environment_can_say_which_headers_are_handed_on(environment: Any, handed_on: Any) -> None:
    came = {"x-request-id": "1", "x-fleet-preview": "v2", "accept": "*/*"}
    assert set(forwarding(environment)(came)) == handed_on


async def test_every_pod_counts_what_it_got() -> None:
    fleet = Fleet()
    for run in ("a", "a", "b", ""):
        await fleet.client.get("/api/vehicles", headers={"baggage": f"tenant=x;p=1, run={run}"})
    async with httpx.AsyncClient(transport=fleet.staff, base_url="http://staff") as client:
        await client.get("/healthz")
        answer = (await client.get("/requests")).json()
        assert (answer["requests"], answer["runs"]) == (4, {"a": 2, "b": 1})
        assert (await client.get("/requests")).json() == answer  # to look changes nothing


def test_only_the_last_runs_are_kept() -> None:
    counted = arrivals.Arrivals()
    for number in range(arrivals.RUNS_KEPT + 1):
        counted.add(f"run-{number}")
    assert counted.total == arrivals.RUNS_KEPT + 1
    assert len(counted.runs) == arrivals.RUNS_KEPT
    assert "run-0" not in counted.runs


async def test_the_two_versions_of_the_page_differ_to_the_eye() -> None:
    original = (await Fleet().client.get("/")).text
    experimental = (await Fleet("experimental").client.get("/")).text
    assert "<title>Fleet, original</title>" in original
    assert "<title>Fleet, experimental</title>" in experimental
    assert 'class="list"' in original
    assert 'class="map"' in experimental
    assert 'answer.version !== "experimental"' in experimental


async def test_the_front_answers_json_to_who_asks_for_it() -> None:
    answer = await Fleet().client.get("/", headers={"accept": "application/json"})
    assert answer.json()["version"] == "original"


@pytest.mark.parametrize(("transport", "reason"), [(Dead(), "Connection refused"), (Plain(), "no healthy upstream")])
async def test_a_broken_service_is_named_all_the_way_up(transport: Any, reason: Any) -> None:
    answer = await Fleet(staff_wire=transport).client.get("/api/vehicles")
    assert answer.status_code == 502
    assert "staff-service" in answer.json()["error"]
    assert reason in answer.json()["error"]
    [hop] = answer.json()["upstreams"]
    assert [next_hop.get("error") is not None for next_hop in hop["upstreams"]] == [False, True]


@pytest.mark.parametrize("transport", [Dead(), Plain()])
async def test_without_staff_an_answer_is_degraded_where_that_is_allowed(transport: Any) -> None:
    fleet = Fleet(staff_wire=transport, optional=True)
    all_of_them, one = [await fleet.client.get(f"/api/vehicles{name}") for name in ("", "/city-truck")]
    assert (all_of_them.status_code, one.status_code) == (200, 200)
    assert all_of_them.json()["degraded"] == one.json()["degraded"] == ["staff-service"]
    assert {vehicle["driver"] for vehicle in all_of_them.json()["vehicles"]} == {None}
    assert one.json()["vehicle"]["driver"] is None
    assert one.json()["vehicle"]["position"]


async def test_positions_are_never_optional() -> None:
    answer = await Fleet(positions_wire=Dead(), optional=True).client.get("/api/vehicles")
    assert answer.status_code == 502
    assert "position-tracker" in answer.json()["error"]


async def test_a_whole_answer_says_nothing_of_degraded() -> None:
    assert "degraded" not in (await Fleet(optional=True).client.get("/api/vehicles")).json()


async def test_a_200_that_is_not_the_service_s_own_is_no_good_answer() -> None:
    """What an abort with a gRPC status gives a client that does not speak gRPC."""
    answer = await Fleet(positions_wire=Plain(200, "fault filter abort")).client.get("/api/vehicles")
    assert answer.status_code == 502
    assert answer.json()["error"] == "api-gateway: position-tracker: fault filter abort"


def test_mishaps_are_spread_evenly() -> None:
    def first(rate: Any) -> Any:
        return "".join("x" if fails else "." for fails in itertools.islice(staff.mishaps(staff.failure_rate(rate)), 8))

    assert {rate: first(rate) for rate in ("", "1", "0.5", "1/4", "0.75")} == {
        "": "........",
        "1": "xxxxxxxx",
        "0.5": ".x.x.x.x",
        "1/4": "...x...x",
        "0.75": ".xxx.xxx",
    }


@pytest.mark.parametrize("text", ["2", "-1", "often", "1/0", "nan"])
def test_a_failure_rate_that_is_none_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="expected a share from 0"):
        staff.failure_rate(text)


async def test_a_risky_pod_looks_healthy() -> None:
    client = httpx.AsyncClient(
        transport=Wire(staff.build(identity("staff-service"), staff.failure_rate("1"))), base_url="http://s"
    )
    health, everybody, one = [await client.get(path) for path in ("/healthz", "/staff", "/staff/city-truck")]
    assert [answer.status_code for answer in (health, everybody, one)] == [200, 500, 500]
    assert one.json()["error"] == "the roster cannot be read"


async def test_the_history_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept = []

    async def sleep(seconds: Any) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    client = httpx.AsyncClient(transport=Fleet().positions, base_url="http://p")
    body = (await client.get("/history")).json()
    assert slept == [positions.HISTORY_SECONDS]
    assert {len(places) for places in body["history"].values()} == {10}
    assert set(body["history"]) == set(positions.ROUNDS)


async def test_an_unknown_vehicle_and_an_unknown_page_are_404_with_a_reason() -> None:
    client = Fleet().client
    vehicle, page = await client.get("/api/vehicles/zeppelin"), await client.get("/nowhere")
    assert (vehicle.status_code, page.status_code) == (404, 404)
    assert vehicle.json()["error"] == "no such vehicle: zeppelin"
    assert page.json()["error"] == "no such page: /nowhere"


async def test_pods_agree_on_positions() -> None:
    first, second = (Fleet().positions.app for _ in range(2))
    assert positions.ROUNDS["city-truck"].at(1000) == positions.ROUNDS["city-truck"].at(1600)
    assert first is not second


def test_identity_comes_from_the_environment() -> None:
    found = Identity.from_environment("web", {"VERSION": "experimental", "HOSTNAME": "web-abc"})
    assert found == Identity("web", "experimental", "web-abc")
    assert Identity.from_environment("web", {"HOSTNAME": "x"}).version == "original"


def test_a_service_keeps_idle_connections_longer_than_its_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Envoy keeps them for an hour; who closes first closes under a request now and then."""
    ran: dict[str, Any] = {}
    monkeypatch.setattr("uvicorn.run", lambda app, **options: ran.update(options))
    service.run(staff.build(identity("staff-service")), identity("staff-service"))
    assert ran["timeout_keep_alive"] > 3600
