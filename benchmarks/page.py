"""What a lab's page costs: weight, time until it can be used, and the delay of the terminal's echo.

    .venv/bin/python -m benchmarks.page

The echo is measured from a byte sent until it is back, over the site's WebSocket, and beside it at a bare
pseudo-terminal of the same shell; the ratio is what the site adds. Needs a Chromium for the first two.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import httpx
from playwright.async_api import async_playwright

from meshdojo.web.app import create_app
from meshdojo.web.live import MeshStatus
from meshdojo.web.local.shells import LocalShells
from meshdojo.web.server import Server, listen
from meshdojo.web.settings import Settings

KEYS = 300
LOADS = 5


class Idle:
    """A judge that says nothing."""

    async def status(self) -> MeshStatus:
        return MeshStatus("none", "absent")

    async def watch(self, lab, recheck, passed):  # type: ignore[no-untyped-def]
        await asyncio.Event().wait()
        yield

    async def close(self) -> None:
        pass


@contextlib.asynccontextmanager
async def site() -> AsyncIterator[Settings]:
    with tempfile.TemporaryDirectory() as folder:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = Settings(Path(folder), port=port)

        async def environment() -> dict[str, str]:
            return {"PATH": os.environ["PATH"], "HOME": folder}

        ready = asyncio.Event()
        shells = LocalShells(settings.state_directory, environment, "meshdojo up")
        server = Server(create_app(settings, judge=Idle(), shells=shells), ready.set)
        listener = listen(settings.host, settings.port)
        task = asyncio.create_task(server.serve([listener]))
        await ready.wait()
        yield settings
        server.stop()
        await task


async def page(settings: Settings) -> None:
    """Weight of the first page, and when it is interactive."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        weights, times = [], []
        for _ in range(LOADS):
            context = await browser.new_context()
            view = await context.new_page()
            await view.goto(settings.entry_url)
            session = await context.new_cdp_session(view)
            await session.send("Network.enable")
            await session.send("Network.setCacheDisabled", {"cacheDisabled": True})
            sizes: list[float] = []
            session.on("Network.loadingFinished", lambda event, sizes=sizes: sizes.append(event["encodedDataLength"]))
            await view.goto(f"{settings.url}/labs/canary", wait_until="load")
            # The buttons of the commands are shown by the script: then the page can be used.
            await view.locator("[data-copy]:not([hidden])").first.wait_for()
            times.append(await view.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"))
            weights.append(sum(sizes))
            await context.close()
        await browser.close()
    print(f"first page, kB                  {statistics.median(weights) / 1000:8.1f}")
    print(f"until it can be used, ms        {statistics.median(times):8.0f}")


async def echo(settings: Settings) -> list[float]:
    """Seconds from a key to its echo, over the site."""
    async with httpx.AsyncClient(base_url=settings.url, follow_redirects=True, timeout=60) as client:
        text = (await client.get("/", params={"token": settings.token})).text
        token = text.split('name="csrf-token" content="', 1)[1].split('"', 1)[0]
        answer = await client.post("/labs/canary/shells", json={}, headers={"X-CSRF-Token": token})
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    headers = {"Cookie": cookie, "Origin": settings.url}
    address = f"{settings.url}/shells/{answer.json()['id']}"
    times = []
    async with aiohttp.ClientSession() as session, session.ws_connect(address, headers=headers) as ws:
        seen = b""
        while b"\x1b[?2004h" not in seen:
            message = await ws.receive()
            seen += message.data if isinstance(message.data, bytes) else b""
        for number in range(KEYS):
            start = time.perf_counter()
            await ws.send_bytes(b"x" if number % 40 else b"\x15x")
            while not isinstance((await ws.receive()).data, bytes):
                pass
            times.append(time.perf_counter() - start)
    return times


def bare() -> list[float]:
    """The same at a pseudo-terminal."""
    pid, master = pty.fork()
    if pid == 0:
        os.execvp("bash", ["bash", "--norc", "-i"])
    seen = b""
    while b"\x1b[?2004h" not in seen:
        seen += os.read(master, 65536)
    times = []
    for number in range(KEYS):
        start = time.perf_counter()
        os.write(master, b"x" if number % 40 else b"\x15x")
        os.read(master, 65536)
        times.append(time.perf_counter() - start)
    os.close(master)
    os.waitpid(pid, 0)
    return times


def milliseconds(times: list[float]) -> tuple[float, float]:
    ordered = sorted(times)
    return 1000 * statistics.median(ordered), 1000 * ordered[int(0.95 * len(ordered))]


async def main() -> None:
    plain = milliseconds(bare())
    async with site() as settings:
        over = milliseconds(await echo(settings))
        await page(settings)
    for name, place in (("median", 0), ("p95", 1)):
        ratio = over[place] / plain[place]
        print(f"echo, {name}, ms: site / bare {over[place]:12.2f} / {plain[place]:.2f} = {ratio:.1f}")


if __name__ == "__main__":
    asyncio.run(main())
