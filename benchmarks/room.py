"""A room of learners with live pages, and attempts that arrive: how long pages take, and a check to reach its page.

The site runs on one core and the load on another. Beside it, on the same core as the site, a page of bare Starlette is
measured under the same number of page loads: machines differ, ratios less.

    .venv/bin/python -m benchmarks.room --learners 500 --seconds 60
    .venv/bin/python -m benchmarks.room --learners 500 --seconds 60 --postgresql

The second starts Debian's PostgreSQL, with its commits on disk before they are acknowledged, on the core of the site.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Container, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from tests.web import postgresql

TOKEN = "a-token-for-benchmarks"
SITE, BARE = 18484, 18485
LAB = "canary"
HOST = "127.0.0.1"


class Room:
    """What was measured, in milliseconds."""

    def __init__(self) -> None:
        self.pages: list[float] = []
        self.reports: list[float] = []
        self.delays: list[float] = []
        self.sent: dict[str, float] = {}
        self.opened = 0
        self.acknowledged = 0
        self.failures: list[str] = []


@dataclass
class Seat:
    """A learner: the cookie of their page, and the token of their meshdojo."""

    cookies: dict[str, str]
    token: str
    number: int
    keys: int = field(default=0)


class NoMesh:
    """A judge that says nothing: learners are elsewhere, and report."""

    async def status(self) -> Any:
        from meshdojo.web.live import MeshStatus

        return MeshStatus("embedded", "absent")

    async def watch(self, lab: str, recheck: asyncio.Event, passed: Container[str]) -> AsyncGenerator[Any, None]:
        await asyncio.Event().wait()
        yield None

    async def close(self) -> None: ...


def serve_site(folder: str, database: str) -> None:
    """In a process of its own: the site."""
    from meshdojo.web.app import create_app
    from meshdojo.web.server import serve
    from meshdojo.web.settings import Settings

    os.sched_setaffinity(0, {0})
    settings = Settings(Path(folder), database_url=database, port=SITE, token=TOKEN)
    serve(settings, lambda: print("ready", flush=True), create_app(settings, judge=NoMesh()))


def serve_bare() -> None:
    """In a process of its own: a page of Starlette and nothing else."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse
    from starlette.routing import Route

    os.sched_setaffinity(0, {0})

    async def page(_request: Any) -> HTMLResponse:
        return HTMLResponse("<!doctype html><title>bare</title><h1>bare</h1>")

    print("ready", flush=True)
    uvicorn.run(Starlette(routes=[Route("/", page)]), host=HOST, port=BARE, log_config=None, access_log=False)


@asynccontextmanager
async def server(*arguments: str) -> AsyncGenerator[subprocess.Popen[str], None]:
    """This module as a server."""
    command = [sys.executable, "-m", "benchmarks.room", *arguments]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220 - nothing else runs yet
    try:
        assert child.stdout is not None
        await asyncio.to_thread(child.stdout.readline)
        yield child
    finally:
        child.terminate()
        await asyncio.to_thread(child.wait)


@contextmanager
def database() -> Iterator[str]:
    """The URL of an empty database of a PostgreSQL that shares the core with the site."""
    binaries = postgresql.programs()
    if binaries is None:
        raise SystemExit("There is no PostgreSQL: install Debian's postgresql.")
    with postgresql.server(binaries, durable=True) as folder, postgresql.new_database(folder, "room") as url:
        number = int((Path(folder) / "data" / "postmaster.pid").read_text().split()[0])
        parent = psutil.Process(number)
        for process in (parent, *parent.children()):
            process.cpu_affinity([0])
            _before_the_site(process.pid)
        yield url


def _before_the_site(process: int) -> None:
    """Of processes with one real-time priority each runs for 100 ms before the next: no database waits like that."""
    if (policy := os.sched_getscheduler(0)) != os.SCHED_OTHER:
        priority = os.sched_getparam(0).sched_priority
        os.sched_setscheduler(process, policy, os.sched_param(priority + 1))


def client() -> aiohttp.ClientSession:
    # The jar would mix the learners up: cookies are sent by hand.
    connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_read=120),
    )


async def arranged(http: aiohttp.ClientSession, learners: int) -> tuple[list[Seat], dict[str, str], int, list[str]]:
    """A workshop with its learners; the instructor's cookies, the workshop's number, the tasks."""
    async with http.get(f"{_site()}/", params={"token": TOKEN}, allow_redirects=False) as answer:
        owner = {name: morsel.value for name, morsel in answer.cookies.items()}
    async with http.get(f"{_site()}/workshops", cookies=owner) as answer:
        csrf = re.findall('name="csrf-token" content="([^"]+)"', await answer.text())[0]
    now = datetime.now(UTC)
    plan: dict[str, Any] = {"title": "Benchmark", "labs": [LAB], "starts_at": now.isoformat()}
    plan["ends_at"] = (now + timedelta(hours=8)).isoformat()
    headers = {"X-CSRF-Token": csrf}
    async with http.post(f"{_site()}/api/v1/workshops", json=plan, cookies=owner, headers=headers) as answer:
        made = await answer.json()
    async with http.get(f"{_site()}/api/v1/labs/{LAB}", cookies=owner) as answer:
        tasks = [task["id"] for task in (await answer.json())["tasks"]]
    seats = [await _seat(http, made["code"], number) for number in range(learners)]
    return seats, owner, made["id"], tasks


async def _seat(http: aiohttp.ClientSession, code: str, number: int) -> Seat:
    form = {"code": code, "name": f"Learner {number:03}"}
    async with http.post(f"{_site()}/join", data=form, allow_redirects=False) as answer:
        cookies = {name: morsel.value for name, morsel in answer.cookies.items()}
    async with http.get(f"{_site()}/seat", cookies=cookies) as answer:
        pairing = re.findall(r"/join/([A-Z0-9-]+)", await answer.text())[0]
    async with http.post(f"{_site()}/api/v1/join", json={"code": pairing}) as answer:
        return Seat(cookies, (await answer.json())["token"], number)


async def follow_page(http: aiohttp.ClientSession, seat: Seat, room: Room) -> None:
    """A learner's page: its live stream; each attempt is known by the number in its reason."""
    async with http.get(f"{_site()}/live?lab={LAB}", cookies=seat.cookies) as answer:
        first = True
        async for line in answer.content:
            if first and line.startswith(b"data: "):
                first = False
                room.opened += 1
            if b"attempt-" in line and line.startswith(b"data: "):
                arrived = time.perf_counter()
                for name in re.findall(rb"attempt-\d+-\d+", line):
                    sent = room.sent.pop(name.decode(), None)
                    if sent is not None:
                        room.delays.append((arrived - sent) * 1000)


async def drain(http: aiohttp.ClientSession, room: Room, path: str, **options: Any) -> None:
    """A stream that somebody reads."""
    async with http.get(f"{_site()}{path}", **options) as answer:
        first = True
        async for line in answer.content:
            if first and line.startswith(b"data: "):
                first = False
                room.opened += 1


async def report(http: aiohttp.ClientSession, seat: Seat, room: Room, tasks: list[str]) -> None:
    """One attempt arrives."""
    seat.keys += 1
    name = f"attempt-{seat.number}-{seat.keys}"
    attempt: dict[str, Any] = {"key": f"b:{seat.keys}", "lab": LAB, "task": random.choice(tasks), "outcome": "fail"}
    attempt |= {"reason": f"{name}: the new version gets no requests", "saw": "0 of 400", "seconds": 0.4}
    headers = {"Authorization": f"Bearer {seat.token}"}
    begun = room.sent[name] = time.perf_counter()
    async with http.post(f"{_site()}/api/v1/desk/report", json={"attempts": [attempt]}, headers=headers) as answer:
        if answer.status == 200:
            room.acknowledged += 1
        else:
            room.failures.append(f"{answer.status} {await answer.text()}")
    room.reports.append((time.perf_counter() - begun) * 1000)


async def load_page(http: aiohttp.ClientSession, url: str, cookies: dict[str, str], figures: list[float]) -> None:
    """One page load."""
    begun = time.perf_counter()
    async with http.get(url, cookies=cookies) as answer:
        await answer.read()
    figures.append((time.perf_counter() - begun) * 1000)


async def at_rate(per_second: float, seconds: float, start: Any) -> None:
    """Start something so often, whether or not what was started before has ended (an open loop: nothing is hidden)."""
    pending: set[asyncio.Task[None]] = set()
    begun = time.perf_counter()
    for number in range(int(per_second * seconds)):
        await asyncio.sleep(max(0.0, begun + number / per_second - time.perf_counter()))
        task = asyncio.create_task(start())
        pending.add(task)
        task.add_done_callback(pending.discard)
    await asyncio.gather(*pending)


async def measure(options: argparse.Namespace, folder: str) -> dict[str, Any]:
    """The whole of it."""
    os.sched_setaffinity(0, {1})
    async with server("--serve-bare"), client() as http:
        await asyncio.sleep(1)
        bare: list[float] = []
        await at_rate(options.pages, options.seconds / 2, lambda: load_page(http, f"http://{HOST}:{BARE}/", {}, bare))
    async with server("--serve-site", folder, options.database) as child, client() as http:
        process = psutil.Process(child.pid)
        room = Room()
        seats, owner, workshop, tasks = await arranged(http, options.learners)
        before = process.memory_full_info().pss
        streams = [asyncio.create_task(follow_page(http, seat, room)) for seat in seats]
        streams += [asyncio.create_task(drain(http, room, f"/workshops/{workshop}/live", cookies=owner))]
        for seat in seats:
            headers = {"Authorization": f"Bearer {seat.token}"}
            streams.append(asyncio.create_task(drain(http, room, "/api/v1/desk/stream", headers=headers)))
        opening = time.perf_counter()
        while room.opened < len(streams):
            await at_rate(options.attempts, 1, lambda: report(http, random.choice(seats), room, tasks))
        opening = time.perf_counter() - opening
        at_opening = room.reports
        await asyncio.sleep(options.settle)
        room.reports, room.delays = [], []
        room.sent.clear()
        used = process.cpu_times()
        begun = time.perf_counter()
        page = f"{_site()}/labs/{LAB}"
        await asyncio.gather(
            at_rate(options.attempts, options.seconds, lambda: report(http, random.choice(seats), room, tasks)),
            at_rate(
                options.pages,
                options.seconds,
                lambda: load_page(http, page, random.choice(seats).cookies, room.pages),
            ),
        )
        took = time.perf_counter() - begun
        cpu = sum(process.cpu_times()[:2]) - sum(used[:2])
        await asyncio.sleep(2)
        async with http.get(f"{_site()}/api/v1/workshops/{workshop}/export.json", cookies=owner) as answer:
            kept = len((await answer.json())["attempts"])
        after = process.memory_full_info().pss
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
    return {
        "learners": options.learners,
        "database": options.database.partition(":")[0] or "sqlite",
        "open streams": len(streams),
        "seconds until all streams had their first state": round(opening, 1),
        "report acknowledged meanwhile, ms": spread(at_opening),
        "attempts sent, acknowledged, kept": [len(at_opening) + len(room.reports), room.acknowledged, kept],
        "attempts lost": room.acknowledged - kept,
        "attempts whose page never showed them (a later one of the task took their place)": len(room.sent),
        "failures": room.failures[:3],
        "core of the site used": f"{cpu / took:.0%}",
        "bare page, ms": spread(bare),
        "lab page, ms": spread(room.pages),
        "lab page / bare page": {q: round(spread(room.pages)[q] / spread(bare)[q], 1) for q in ("p50", "p99")},
        "report acknowledged, ms": spread(room.reports),
        "from check to page, ms": spread(room.delays),
        "memory before the streams, MB": round(before / 1e6),
        "memory at the end, MB": round(after / 1e6),
    }


def spread(figures: list[float]) -> dict[str, float]:
    """Median, 99th percentile and the worst."""
    cuts = statistics.quantiles(figures, n=100, method="inclusive")
    return {"p50": round(cuts[49], 2), "p99": round(cuts[98], 2), "max": round(max(figures), 2)}


def _site() -> str:
    return f"http://{HOST}:{SITE}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--learners", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--attempts", type=float, default=25, help="a second, of the whole room")
    parser.add_argument("--pages", type=float, default=10, help="page loads a second")
    parser.add_argument("--settle", type=float, default=10, help="seconds before it is measured")
    parser.add_argument("--database", default="", help="SQLAlchemy URL; empty: SQLite")
    parser.add_argument("--postgresql", action="store_true", help="start one for this run")
    parser.add_argument("--serve-site", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--serve-bare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_site:
        serve_site(*options.serve_site)
    elif options.serve_bare:
        serve_bare()
    else:
        folder = tempfile.mkdtemp(prefix="dojo-bench-")
        try:
            with database() if options.postgresql else nullcontext(options.database) as options.database:
                print(json.dumps(asyncio.run(measure(options, folder)), indent=2))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
