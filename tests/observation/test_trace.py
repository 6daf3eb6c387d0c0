"""One request hop by hop, found in the logs of the proxies."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable

import pytest
from tests.observation.mesh import OUTSIDE, Mesh, line, until
from tests.observation.test_observer import GATEWAY_POD, TO_WEB, WEB_POD

from meshdojo.cluster.streams import ExecResult
from meshdojo.observation import observer as observer_module
from meshdojo.observation import trace as module
from meshdojo.observation.load import LoadError
from meshdojo.observation.observer import Observer
from meshdojo.observation.trace import Request, trace

pytestmark = pytest.mark.anyio

API_POD = "fleet/api-9b79965fc-bfpx7"
TO_API = "outbound|80||api.fleet.svc.cluster.local"
PROBE, GATEWAY, WEB, API = "10.0.0.9", "10.0.0.1", "10.0.0.2", "10.0.0.4"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def mesh() -> Mesh:
    return Mesh()


@pytest.fixture
async def observer(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Observer]:
    monkeypatch.setattr(observer_module, "COALESCE_SECONDS", 0.0)
    async with Observer(mesh) as observer:  # type: ignore[arg-type]
        await until(lambda: {GATEWAY_POD, WEB_POD, API_POD} <= mesh.following)
        yield observer


def writes(mesh: Mesh, *lines: tuple[str, Callable[[str], str]]) -> None:
    """The proxies write these lines when the probe sends its request; each gets the user-agent that it carries."""

    async def send(command: list[str]) -> ExecResult:
        headers = [command[place + 1] for place, word in enumerate(command) if word == "--header"]
        agent = next(header.partition("=")[2] for header in headers if header.lower().startswith("user-agent="))
        for name, write in lines:
            mesh.log(name, write(agent))
        return ExecResult(0, json.dumps({"status": 200}).encode(), b"")

    mesh.on_exec = send


async def test_every_hop_in_order_and_nothing_of_other_requests(mesh: Mesh, observer: Observer) -> None:
    writes(
        mesh,
        # As they are written: who answers last logs last. Only the first proxy has seen the mark.
        (API_POD, lambda _: line("id-1", "inbound|8080||", f"{API}:8080", f"{WEB}:999", at=0.02)),
        (WEB_POD, lambda _: line("id-1", TO_API, f"{API}:8080", f"{WEB}:998", at=0.015)),
        (WEB_POD, lambda _: line("other", "inbound|8080||", f"{WEB}:8080", f"{GATEWAY}:999", at=0.016)),
        (WEB_POD, lambda _: line("id-1", "inbound|8080||", f"{WEB}:8080", f"{GATEWAY}:999", at=0.01)),
        (GATEWAY_POD, lambda agent: line("id-1", TO_WEB, f"{WEB}:8080", f"{PROBE}:999", agent=agent)),
    )
    request = Request("/version", headers=(("User-Agent", "me"), ("x-preview", "yes")))
    found = await trace(mesh, observer, request)  # type: ignore[arg-type]
    assert [(hop["proxy"], hop["direction"], hop["start"]) for hop in found["hops"]] == [
        ("istio-ingressgateway", "outbound", 0),
        ("web-original", "inbound", 10),
        ("web-original", "outbound", 15),
        ("api", "inbound", 20),
    ]
    gateway, web = found["hops"][:2]
    assert (gateway["gateway"], gateway["to"], gateway["mtls"]) == (True, "web-original", None)
    assert (web["node"], web["pod"], web["mtls"]) == ("service/fleet/web", WEB_POD, False)
    assert found["answer"] == {"status": 200}
    (namespace, command) = mesh.ran[-1]
    assert namespace == OUTSIDE
    assert command[:4] == ["python", "-m", "probe", "one"]
    sent = dict(found["sent"]["headers"])
    assert (sent["x-preview"], sent["User-Agent"].startswith("me meshdojo-trace/")) == ("yes", True)


async def test_it_waits_for_the_log_of_who_was_reached(mesh: Mesh, observer: Observer) -> None:
    writes(mesh, (GATEWAY_POD, lambda agent: line("id-1", TO_WEB, f"{WEB}:8080", f"{PROBE}:999", agent=agent)))

    def later(name: str, _entry: object) -> None:
        if name == GATEWAY_POD:  # the gateway's line is known: only now does the other proxy write its own
            mesh.log(WEB_POD, line("id-1", "inbound|8080||", f"{WEB}:8080", f"{GATEWAY}:999", at=0.01))

    with observer.reading(later):
        found = await trace(mesh, observer, Request("/"))  # type: ignore[arg-type]
    assert [hop["pod"] for hop in found["hops"]] == [GATEWAY_POD, WEB_POD]


async def test_what_is_never_logged_is_not_waited_for_long(
    mesh: Mesh, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOG_SECONDS", 0.01)
    found = await trace(mesh, observer, Request("/"))  # type: ignore[arg-type]
    assert (found["hops"], found["answer"]) == ([], {"status": 200})


async def test_a_probe_that_fails_and_a_method_that_is_none(mesh: Mesh, observer: Observer) -> None:
    async def fails(_command: list[str]) -> ExecResult:
        return ExecResult(2, b"", b"usage: probe\nerror: no such option\n")

    mesh.on_exec = fails
    with pytest.raises(LoadError, match="the probe failed: error: no such option"):
        await trace(mesh, observer, Request("/"))  # type: ignore[arg-type]
    with pytest.raises(LoadError, match=r"method 'BREW': allowed are GET, POST"):
        Request("/", method="BREW")
