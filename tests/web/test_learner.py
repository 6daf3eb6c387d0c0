"""A learner solves a lab of the course only through the page: reads, types, uses the editor, asks for hints.

On a whole embedded cluster, with the real checks.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect
from tests.web.samples import free_port
from tests.web.test_browser import opened
from tests.web.test_browser_workbench import shown_terminal, type_command
from tests.web.test_screenshots import FOLDER

from meshdojo.backends.embedded import EmbeddedBackend
from meshdojo.course.course import load_course
from meshdojo.validation.setup import start_state
from meshdojo.web.app import create_app
from meshdojo.web.server import Server, listen
from meshdojo.web.settings import Settings

pytestmark = pytest.mark.anyio

# A command's answer, and after it the prompt, which names the folder of the lab.
DONE = re.compile(r"(configured|created|patched|unchanged|condition met|rolled out|deleted\b.*)\s*canary\s+[#$]\s*$")
# Tasks that say at first what to run: three pods, so that there is something to choose from.
BEGINS = ("sticky",)
RULE = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: web
  namespace: fleet
spec:
  host: web
  subsets:
    - name: original
      labels: {version: original}
    - name: experimental
      labels: {version: experimental}
"""
ROUTES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: web
  namespace: fleet
spec:
  hosts: ["*"]
  gateways: [fleet-edge]
  http:
    - match:
        - headers:
            x-fleet-preview: {exact: experimental}
      route:
        - destination: {host: web, subset: experimental}
    - route:
        - destination: {host: web, subset: original}
"""


@pytest.fixture
async def canary(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Settings]:
    """The canary lab at its start, and a site that judges it. The path is short: sockets have to fit in it."""
    if shutil.which("kubectl") is None:
        pytest.skip("needs kubectl: https://kubernetes.io/docs/tasks/tools/")
    home = Path(tempfile.mkdtemp(prefix="md-", dir="/tmp"))
    monkeypatch.setenv("MESHDOJO_HOME", str(home))
    backend = EmbeddedBackend()
    try:
        await backend.start(lambda _: None, tied=True)
        await start_state(backend, load_course().lab("canary"), lambda _: None)
        yield Settings(home / "site", port=free_port())
    finally:
        await backend.stop()
        shutil.rmtree(home, ignore_errors=True)


async def run(page: Page, button: Locator) -> None:
    """Click, and wait for the prompt: beside a command that runs, the next would get a terminal of its own."""
    await button.click()
    await expect(shown_terminal(page).locator(".xterm-rows")).to_have_text(DONE, timeout=120_000)


async def solve_with_hints(page: Page, name: str) -> None:
    """Open a task's hints one after another, and run what the last one says; before it, what the task begins with."""
    begins = page.locator(f".task:has(#state-{name}) .task-body [data-run]")
    if name in BEGINS:
        await run(page, begins.first)
    hints = page.locator(f"#hints-{name}")
    for opens in ("Get a nudge", "Get a direction", "Show the answer"):
        await hints.get_by_role("button", name=opens).click()
    commands = (
        hints.locator(".hint").nth(2).locator("[data-run]")
    )  # by name it would be another one once it says "Sent"
    await expect(commands.first).to_be_visible()
    for command in await commands.all():
        await run(page, command)
    await expect(page.locator(f"#state-{name} .verdict-passed")).to_be_visible(timeout=180_000)


async def test_a_learner_solves_a_lab_through_the_page_alone(canary: Settings, chromium: Browser) -> None:
    ready = asyncio.Event()
    server = Server(create_app(canary), ready.set)
    listener = listen(canary.host, canary.port)
    task = asyncio.create_task(server.serve([listener]))
    try:
        await ready.wait()
        page, _ = await opened(chromium, canary.entry_url, width=1600)
        await page.goto(f"{canary.url}/labs/canary")
        state = page.locator("#state-dark")
        await expect(state).to_contain_text("Not yet", timeout=120_000)
        await expect(page.get_by_role("button", name="service web")).to_be_visible(timeout=120_000)

        # The Deployment of the chapter, kept in a file by a click; the terminal shows that it is there.
        await (
            page.locator(".code-command", has_text="cat > web-experimental.yaml")
            .get_by_role("button", name="Run")
            .click()
        )
        await expect(shown_terminal(page)).to_contain_text("canary", timeout=60_000)
        await type_command(page, "clear; ls; kubectl get pods -n fleet", prompt="canary")
        await expect(shown_terminal(page)).to_contain_text("web-experimental.yaml")
        await expect(shown_terminal(page)).to_contain_text("2/2")

        # Routes first, in the editor.
        await page.get_by_role("tab", name="Editor").click()
        await page.locator(".editor-host .cm-content").click()
        await page.keyboard.press("Control+a")
        await page.keyboard.insert_text(RULE + "---\n" + ROUTES)
        await page.keyboard.press("Control+s")
        outcome = page.locator(".editor-outcome")
        await expect(outcome).to_contain_text("destinationrule.networking.istio.io/web created", timeout=120_000)
        await expect(outcome).to_contain_text("virtualservice.networking.istio.io/web configured", timeout=120_000)

        # Then the pods, in the terminal.
        await page.get_by_role("tab", name="Terminal 1").click()
        await type_command(page, "clear; kubectl apply -f web-experimental.yaml", prompt="canary")
        await expect(shown_terminal(page)).to_contain_text("deployment.apps/web-experimental created", timeout=120_000)
        await expect(state.locator(".verdict-passed")).to_be_visible(timeout=180_000)
        web = page.get_by_role("button", name="service web")
        await expect(web).to_contain_text("experimental")

        # The next task says what is missing; traffic makes the graph move.
        await page.get_by_role("switch", name="Traffic").click()
        await expect(web).to_contain_text(re.compile(r"[1-9][\d.]*/s"), timeout=120_000)
        await expect(page.locator("#state-canary .verdict-notyet")).to_be_visible(timeout=180_000)
        await page.set_viewport_size({"width": 1440, "height": 900})
        await page.locator("#state-canary").scroll_into_view_if_needed()
        FOLDER.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=FOLDER / "learner.png")  # the picture of the README

        # The others with all the help there is.
        for name in ("canary", "callers", "promote", "sticky"):
            await solve_with_hints(page, name)
        # What was true of the canary is so no more, as the task after it wanted; it stays passed.
        await expect(page.locator("main")).to_contain_text(re.compile(r"5 of 5\s+tasks passed"))
    finally:
        server.stop()
        async with asyncio.timeout(60):
            await task
        listener.close()
