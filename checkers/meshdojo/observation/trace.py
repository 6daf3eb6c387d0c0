"""One request, hop by hop: sent by the probe, found again in every proxy's log by its x-request-id.

A gateway at the edge gives requests an x-request-id of its own, so the first entry is known by a mark in the
user-agent, and all others by the x-request-id that it has.

Proxies write their logs with a delay (Istio's every second), so after the answer it takes a moment until all hops are
known. A hop that was logged by the caller's proxy must also be logged by the callee's, where that has one: when every
such pair is complete, nothing more is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from dataclasses import dataclass
from typing import Any

from meshdojo.checks.measurement import Place
from meshdojo.checks.probe import CONTAINER, NAMESPACES, Probe
from meshdojo.cluster.http import HTTPClient
from meshdojo.observation.accesslog import FLAGS, Entry, address
from meshdojo.observation.load import LoadError, address_of, check_request, pod_of
from meshdojo.observation.observer import Observer

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
LOG_SECONDS = 2.5
TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class Request:
    """What to send; see `load.Wish`. Raises LoadError when that is impossible."""

    path: str
    to: str = ""
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        check_request(self.path, self.to, self.headers)
        if self.method not in METHODS:
            raise LoadError(f"method {self.method[:20]!r}: allowed are {', '.join(METHODS)}")


async def trace(client: HTTPClient, observer: Observer, request: Request) -> dict[str, Any]:
    """``{sent, answer, hops: […]}``: see `_hop`. Raises CannotJudge when the probe does not work."""
    await Probe(client).ensure()
    mark = f"meshdojo-trace/{uuid.uuid4()}"
    headers = dict(request.headers)
    agent = next((name for name in headers if name.lower() == "user-agent"), "user-agent")
    headers[agent] = f"{headers.get(agent, '')} {mark}".strip()
    logged: list[tuple[str, Entry]] = []
    arrived = asyncio.Event()

    def seen(pod: str, entry: Entry) -> None:
        logged.append((pod, entry))
        arrived.set()

    with observer.reading(seen):
        answer = await _send(client, request, headers)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOG_SECONDS):
                while not _complete(_of(mark, logged), observer):
                    await arrived.wait()
                    arrived.clear()
    found = _of(mark, logged)
    hops = sorted(found, key=lambda pair: (pair[1].at, -pair[1].duration))
    begin = hops[0][1].at if hops else 0.0
    return {
        "sent": {
            "method": request.method,
            "url": address_of(request.to) + request.path,
            "headers": list(headers.items()),
        },
        "answer": answer,
        "hops": [_hop(pod, entry, begin, observer) for pod, entry in hops],
        "source": observer.source,
    }


def _of(mark: str, logged: list[tuple[str, Entry]]) -> list[tuple[str, Entry]]:
    """The entries of the marked request, and of all that it caused."""
    identities = {entry.request_id for _pod, entry in logged if mark in entry.user_agent}
    return [(pod, entry) for pod, entry in logged if entry.request_id in identities]


async def _send(client: HTTPClient, request: Request, headers: dict[str, str]) -> dict[str, Any]:
    place: Place = "inside" if request.to else "outside"
    command = ["python", "-m", "probe", "one", "--url", address_of(request.to) + request.path]
    command += ["--method", request.method, "--timeout", str(TIMEOUT_SECONDS)]
    for name, value in headers.items():
        command += ["--header", f"{name}={value}"]
    pod = await pod_of(client, place)
    result = await client.exec(NAMESPACES[place], pod, command, CONTAINER, seconds=TIMEOUT_SECONDS + 10)
    if result.exit_code:
        said = result.stderr.decode(errors="replace").strip().splitlines()
        raise LoadError(f"the probe failed: {said[-1] if said else result.exit_code}")
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def _complete(found: list[tuple[str, Entry]], observer: Observer) -> bool:
    """Whether every hop was logged at both of its ends, as far as there are proxies."""
    if not found:
        return False
    logged = {pod for pod, entry in found if entry.direction == "inbound"}
    for _pod, entry in found:
        reached = observer.find(address(entry.upstream)) if entry.direction == "outbound" else None
        if reached and reached[1].sidecars and _name(reached[2]) not in logged:
            return False
    # The one that came first was logged last: wait for the entry whose caller has no proxy, or is the probe's own.
    return any(_is_first(entry, observer) for _pod, entry in found)


def _is_first(entry: Entry, observer: Observer) -> bool:
    if entry.caller.endswith(":0"):
        return False  # an address out of x-forwarded-for, not the peer's
    caller = observer.find(address(entry.caller))
    return caller is None or caller[0].kind == "probe"


def _name(pod: Any) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _hop(pod: str, entry: Entry, begin: float, observer: Observer) -> dict[str, Any]:
    """One proxy's view. Times in milliseconds; `start` is counted from the first proxy's."""
    reached = observer.find(address(entry.upstream)) if entry.upstream else None
    reporter = next(
        (
            (group, workload)
            for group in observer.groups
            for workload in group.workloads
            if pod in {_name(one) for one in workload.pods}
        ),
        None,
    )
    return {
        "node": reporter[0].id if reporter else "",
        "proxy": reporter[1].name if reporter else pod,
        "pod": pod,
        "gateway": bool(reporter and reporter[1].gateway),
        "direction": entry.direction,
        "start": round((entry.at - begin) * 1000),
        "duration": entry.duration,
        "service_time": entry.service_time,
        "method": entry.method,
        "path": entry.path,
        "code": entry.code,
        "flags": [{"flag": flag, "means": FLAGS.get(flag, "")} for flag in entry.flags],
        "details": entry.details,
        "failure": entry.failure,
        "mtls": entry.encrypted if entry.direction == "inbound" else None,
        "to": reached[1].name if reached and entry.direction == "outbound" else "",
        "cluster": entry.cluster,
        "route": entry.route,
        "headers": [
            [name, value]
            for name, value in (
                (":authority", entry.authority),
                ("x-request-id", entry.request_id),
                ("x-forwarded-for", entry.forwarded_for),
                ("user-agent", entry.user_agent),
                ("sni", entry.server_name),
                ("bytes", f"{entry.received} in, {entry.sent} out"),
            )
            if value
        ],
    }
