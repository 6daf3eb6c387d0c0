"""The site in a real browser."""

from __future__ import annotations

import re
from dataclasses import replace

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, ConsoleMessage, Page, expect
from tests.web.samples import FAILED, PASSED, FakeJudge, judged, served

from meshdojo.web.settings import Settings

pytestmark = pytest.mark.anyio

# What WCAG 2.2 AA asks for, and axe's best practices.
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


async def opened(browser: Browser, address: str, scheme: str = "light", width: int = 1280) -> tuple[Page, list[str]]:
    """A page, and what its console complains of."""
    context = await browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 900},
        reduced_motion="reduce",
    )
    page = await context.new_page()
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(address)
    return page, complaints


async def test_a_task_turns_green_by_itself_and_stays_so_after_a_restart(
    settings: Settings, judge: FakeJudge, chromium: Browser
) -> None:
    async with served(settings, judge):
        page, complaints = await opened(chromium, settings.entry_url)
        await expect(page).to_have_url(f"{settings.url}/")  # the token has left the address bar
        await page.get_by_role("link", name="Open the lab").click()
        await expect(page.locator("h1")).to_have_text("Split the traffic")
        await page.evaluate("window.notReloaded = true")
        task = page.locator("#state-dark")
        await expect(task).to_contain_text("Not checked yet")

        await judge.started.wait()
        judge.say("split", *judged("dark", FAILED))
        await expect(task).to_contain_text("Not yet")
        await expect(task).to_contain_text("The new version gets no requests.")
        await expect(task).to_contain_text("about 40 of 400")

        judge.say("split", *judged("dark", PASSED))
        await expect(task.locator(".verdict-passed")).to_be_visible()
        await expect(page.locator("#task-list")).to_contain_text("1 of 2 tasks passed")
        await expect(page.locator("[data-announcer]")).to_have_text("Task 1 passed: Bring it in dark")
        await expect(page.get_by_text("Why this works").first).to_be_visible()

        judge.say("split", *judged("dark", FAILED))
        await expect(task).to_contain_text("Passed before, not true now")
        assert await page.evaluate("window.notReloaded")
        assert complaints == []

    async with served(settings, FakeJudge()):
        await page.goto(settings.url)
        await expect(page.locator(".path")).to_contain_text("1 of 2 passed")
        await page.get_by_role("link", name="Continue").click()
        await expect(page.locator("#state-dark .verdict-passed")).to_be_visible()
        await expect(page.locator("#state-tenth")).to_contain_text("Not checked yet")


async def test_hints_and_quiz_without_leaving_the_page(settings: Settings, judge: FakeJudge, chromium: Browser) -> None:
    async with served(settings, judge):
        page, complaints = await opened(chromium, settings.entry_url)
        await page.goto(f"{settings.url}/labs/split")
        hints = page.locator("#hints-dark")
        await hints.get_by_role("button", name="Get a nudge").click()
        await expect(hints).to_contain_text("Which label tells the two Deployments apart?")
        await expect(hints).not_to_contain_text("kind: DestinationRule")
        await hints.get_by_role("button", name="Get a direction").click()
        await hints.get_by_role("button", name="Show the answer").click()
        await expect(hints).to_contain_text("kind: DestinationRule")
        await expect(hints.get_by_role("button", name="Show")).to_have_count(0)

        question = page.locator(".question").first
        await question.get_by_label("the number of its pods").check()
        await question.get_by_role("button", name="Answer").click()
        await expect(question).to_contain_text("Not quite")
        await expect(question).not_to_contain_text("counts requests, not pods")
        await question.get_by_label("the weight of its route").check()
        await question.get_by_role("button", name="Answer again").click()
        await expect(question).to_contain_text("A route's weight counts requests, not pods.")
        await page.reload()
        await expect(question).to_contain_text("A route's weight counts requests")
        await expect(hints.locator(".hint")).to_have_count(3)
        assert complaints == []


async def test_commands_can_be_copied_and_diagrams_are_drawn(
    settings: Settings, judge: FakeJudge, chromium: Browser
) -> None:
    async with served(settings, judge):
        page, complaints = await opened(chromium, settings.entry_url)
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.goto(f"{settings.url}/labs/split")
        command = page.locator(".code-command").first
        await command.get_by_role("button", name="Copy").click()
        await expect(command.locator("[data-copy]")).to_contain_text("Copied")
        copied = await page.evaluate("navigator.clipboard.readText()")
        assert copied == "kubectl apply -f - <<EOF\nkind: DestinationRule\nEOF\n"
        await page.locator(".diagram").scroll_into_view_if_needed()
        picture = page.frame_locator(".diagram iframe").locator("svg").first
        await expect(picture).to_contain_text("ingress gateway")
        await expect(page.locator(".diagram-source")).to_be_hidden()
        assert complaints == []


async def test_the_theme_is_chosen_once_and_for_the_first_paint(
    settings: Settings, judge: FakeJudge, chromium: Browser
) -> None:
    async with served(settings, judge):
        page, complaints = await opened(chromium, settings.entry_url, "dark")
        switch = page.get_by_role("button", name="Theme")
        dark = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        await switch.click()
        await expect(switch).to_have_accessible_name("Theme: light")
        light = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert dark != light == "rgb(255, 255, 255)"
        await page.reload()
        await expect(page.locator("html")).to_have_attribute("data-theme", "light")
        assert complaints == []


async def test_two_tabs_share_one_stream_and_the_second_takes_over(
    settings: Settings, judge: FakeJudge, chromium: Browser
) -> None:
    async with served(settings, judge):
        first, _ = await opened(chromium, settings.entry_url)
        streams: list[str] = []
        first.context.on("request", lambda request: streams.append(request.url) if "lab=split" in request.url else None)
        await first.goto(f"{settings.url}/labs/split")
        second = await first.context.new_page()
        await second.goto(f"{settings.url}/labs/split")
        await judge.started.wait()
        judge.say("split", *judged("dark", PASSED))
        for page in (first, second):
            await expect(page.locator("#state-dark .verdict-passed")).to_be_visible()
        assert len(streams) == 1
        await first.close()
        judge.say("split", *judged("tenth", FAILED))
        await expect(second.locator("#state-tenth")).to_contain_text("Not yet")
        assert len(streams) == 2


async def test_a_lost_connection_is_said_and_mended(settings: Settings, judge: FakeJudge, chromium: Browser) -> None:
    async with served(settings, judge):
        page, _ = await opened(chromium, settings.entry_url)
        await page.goto(f"{settings.url}/labs/split")
        await judge.started.wait()
    await expect(page.locator("[data-lost]")).to_be_visible()
    again = FakeJudge()
    async with served(settings, again):
        await again.started.wait()
        again.say("split", *judged("dark", PASSED))
        await expect(page.locator("#state-dark .verdict-passed")).to_be_visible()
        await expect(page.locator("[data-lost]")).to_be_hidden()


async def open_everything(page: Page) -> None:
    """Every fold, a hint and an answer."""
    await page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
    if button := await page.query_selector("#hints-tenth button"):
        await button.click()
        await expect(page.locator("#hints-tenth .hint").first).to_be_visible()
    await page.locator(".question input[type=radio]").first.check()
    await page.locator(".question button").first.click()
    await expect(page.locator(".explanation").first).to_be_visible()
    await page.locator(".diagram").first.scroll_into_view_if_needed()
    await expect(page.frame_locator(".diagram iframe").locator("svg").first).to_be_visible()


async def violations(page: Page) -> list[str]:
    found = (await Axe().run(page, options=AXE)).response["violations"]
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]


async def test_the_first_page_is_light_and_stands_still(
    settings: Settings, judge: FakeJudge, chromium: Browser
) -> None:
    async with served(settings, judge):
        page, _ = await opened(chromium, settings.entry_url)
        session = await page.context.new_cdp_session(page)
        await session.send("Network.enable")
        sizes: list[float] = []
        session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
        await session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        await page.goto(f"{settings.url}/labs/split", wait_until="load")
        await expect(page.locator("#mesh-summary")).to_contain_text("ready")
        assert 10_000 < sum(sizes) < 100_000
        shift, moved = await page.evaluate(
            """() => new Promise(resolve => {
                let sum = 0
                const moved = []
                new PerformanceObserver(list => list.getEntries().forEach(entry => {
                    sum += entry.value
                    moved.push(...entry.sources.map(source => source.node?.outerHTML?.slice(0, 80)))
                })).observe({type: "layout-shift", buffered: true})
                requestAnimationFrame(() => requestAnimationFrame(() => resolve([sum, moved])))
            })"""
        )
        assert shift < 0.01, moved


async def chapters(client: httpx.AsyncClient) -> list[str]:
    """The addresses of the course's labs, as its first page names them."""
    labs: list[str] = re.findall(r'class="step-title"><a href="(/labs/[^"]+)"', (await client.get("/")).text)
    assert len(labs) >= 7
    return labs


async def test_every_chapter_of_the_course_is_light(settings: Settings, judge: FakeJudge, chromium: Browser) -> None:
    """Before a terminal or the editor is opened: what goes over the wire until the graph is there."""
    async with served(replace(settings, content=None), judge) as client:
        labs = await chapters(client)
        for lab in labs:
            page, _ = await opened(chromium, settings.entry_url)
            session = await page.context.new_cdp_session(page)
            await session.send("Network.enable")
            await session.send("Network.setCacheDisabled", {"cacheDisabled": True})
            sizes: list[float] = []
            session.on("Network.loadingFinished", lambda event, sizes=sizes: sizes.append(event["encodedDataLength"]))
            await page.goto(f"{settings.url}{lab}", wait_until="load")
            await expect(page.locator(".mesh-source")).to_contain_text("Numbers")
            assert sum(sizes) < 100_000, lab
            await page.context.close()


WIDER = """() => {
    const pane = document.querySelector(".chapter").getBoundingClientRect()
    const scrolls = element => element.closest("pre, table, .diagram") !== null
    return [...document.querySelectorAll(".chapter *")]
        .filter(one => one.getBoundingClientRect().width && one.getBoundingClientRect().right > pane.right + 1)
        .filter(one => !scrolls(one.parentElement))
        .map(one => `${one.tagName}.${one.className}: ${one.textContent.slice(0, 60)}`)
}"""


async def test_nothing_that_opens_is_wider_than_its_chapter(
    settings: Settings, judge: FakeJudge, chromium: Browser
) -> None:
    """All hints and folds of the whole course, on a desktop and on a phone."""
    async with served(replace(settings, content=None), judge) as client:
        labs = await chapters(client)
        for width in (1440, 390):
            page, _ = await opened(chromium, settings.entry_url, width=width)
            for lab in labs:
                await page.goto(f"{settings.url}{lab}", wait_until="load")
                for grade in ("Get a nudge", "Get a direction", "Show the answer"):
                    buttons = page.get_by_role("button", name=grade)
                    for left in range(await buttons.count(), 0, -1):
                        await buttons.first.click()
                        await expect(buttons).to_have_count(left - 1)
                await page.evaluate("document.querySelectorAll('.chapter details').forEach(one => { one.open = true })")
                assert await page.evaluate(WIDER) == [], (lab, width)
            await page.context.close()
