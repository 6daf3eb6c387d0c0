"""The panes and the terminals of a lab, in a real browser."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.async_api import Browser, Locator, Page, WebSocketRoute, expect
from tests.web.samples import FakeJudge, lab_shells, served
from tests.web.test_browser import opened

from meshdojo.web.models import LOCAL_LEARNER
from meshdojo.web.settings import Settings

pytestmark = pytest.mark.anyio


async def type_command(page: Page, command: str, prompt: str = "split") -> None:
    """Type into the terminal that is shown, once its prompt (the folder of the lab) is there."""
    await expect(shown_terminal(page).locator(".xterm-rows")).to_contain_text(prompt, timeout=60_000)
    await shown_terminal(page).locator("textarea").focus()
    await page.keyboard.type(command)
    await page.keyboard.press("Enter")


async def side(element: Locator, name: Literal["width", "height"]) -> float:
    """How long a side of an element is."""
    box = await element.bounding_box()
    assert box
    return box[name]


def shown_terminal(page: Page) -> Locator:
    return page.locator(".shell:not([hidden])")


async def test_type_in_a_terminal_and_find_it_again(settings: Settings, judge: FakeJudge, chromium: Browser) -> None:
    async with served(settings, judge):
        page, complaints = await opened(chromium, settings.entry_url)
        await page.goto(f"{settings.url}/labs/split")
        await page.get_by_role("button", name="Open a terminal").click()
        await type_command(page, "MINE=kept; echo the gateway: $GATEWAY_URL")
        await expect(shown_terminal(page)).to_contain_text("the gateway: 127.64.0.1:31380")
        await page.get_by_role("button", name="New terminal").click()
        await expect(page.get_by_role("tab", name="Terminal 2")).to_have_attribute("aria-selected", "true")
        await type_command(page, "echo sec''ond")
        await expect(shown_terminal(page)).to_contain_text("second")

        await page.reload()
        await expect(page.get_by_role("tab", name="Terminal 1")).to_have_attribute("aria-selected", "true")
        await expect(shown_terminal(page)).to_contain_text("the gateway: 127.64.0.1:31380")  # its scrollback is back
        await type_command(page, 'echo "[$MINE]"')
        await expect(shown_terminal(page)).to_contain_text("[kept]")  # and so is the session
        await page.get_by_role("tab", name="Terminal 2").click()
        await expect(shown_terminal(page)).to_contain_text("second")
        await page.get_by_role("button", name="Close this terminal").click()
        await expect(page.get_by_role("tab", name="Terminal 2")).to_have_count(0)
        assert complaints == []


async def test_a_command_of_the_chapter_runs_at_a_click(
    settings: Settings, judge: FakeJudge, chromium: Browser
) -> None:
    async with served(settings, judge):
        page, complaints = await opened(chromium, settings.entry_url)
        await page.goto(f"{settings.url}/labs/split")
        await page.locator(".code-command").nth(1).get_by_role("button", name="Run").click()
        await expect(shown_terminal(page)).to_contain_text("curl -sf http://web/")
        # Another program has the terminal: the next command gets one of its own.
        await type_command(page, "clear; cat")
        await expect(shown_terminal(page)).not_to_contain_text("curl")
        await page.locator(".code-command").nth(1).get_by_role("button", name="Run").click()
        await expect(page.get_by_role("tab", name="Terminal 2")).to_have_attribute("aria-selected", "true")
        await expect(shown_terminal(page)).to_contain_text("curl -sf http://web/")
        assert complaints == []


async def test_colours_that_programs_choose_are_shown(settings: Settings, judge: FakeJudge, chromium: Browser) -> None:
    """Under a policy that allows no style attribute: see build.mjs."""
    async with served(settings, judge):
        page, complaints = await opened(chromium, settings.entry_url)
        await page.goto(f"{settings.url}/labs/split")
        await page.get_by_role("button", name="Open a terminal").click()
        await type_command(page, r"clear; printf '\033[38;2;10;20;200mtrue\033[0m \033[31mnamed\033[0m\n'")
        rows = shown_terminal(page).locator(".xterm-rows")
        await expect(rows.get_by_text("true", exact=True)).to_have_css("color", "rgb(10, 20, 200)")
        await expect(rows.get_by_text("named", exact=True)).to_have_css("color", "rgb(179, 38, 30)")
        assert complaints == []


async def test_a_terminal_comes_back_after_a_break(settings: Settings, judge: FakeJudge, chromium: Browser) -> None:
    shells, sockets = lab_shells(settings), list[WebSocketRoute]()

    def between(route: WebSocketRoute) -> None:
        route.connect_to_server()
        sockets.append(route)

    async with served(settings, judge, shells):
        page, _ = await opened(chromium, settings.entry_url)
        await page.route_web_socket("**/shells/*", between)
        await page.goto(f"{settings.url}/labs/split")
        await page.get_by_role("button", name="Open a terminal").click()
        await type_command(page, "KEPT=yes; echo be''fore")
        await expect(shown_terminal(page)).to_contain_text("before")
        shell = shells.of(LOCAL_LEARNER, "split")[0]
        await sockets[0].close()
        shell.write(b"echo meanwh''ile\r")
        await expect(shown_terminal(page)).to_contain_text("meanwhile")
        await type_command(page, 'echo "[$KEPT]"')
        await expect(shown_terminal(page)).to_contain_text("[yes]")
        assert (await shown_terminal(page).inner_text()).count("before") == 1  # it is not shown twice
    await expect(page.locator(".shell[data-lost]")).to_be_visible()
    async with served(settings, FakeJudge()):
        await expect(shown_terminal(page)).to_contain_text("press Enter for a new one")
        await shown_terminal(page).locator("textarea").focus()
        await page.keyboard.press("Enter")
        # The prompt of the old one is still there until the new one is.
        await expect(shown_terminal(page)).not_to_contain_text("press Enter for a new one")
        await type_command(page, "echo again")
        await expect(shown_terminal(page)).to_contain_text("again")


async def test_panes_are_resized_folded_and_remembered(settings: Settings, judge: FakeJudge, chromium: Browser) -> None:
    async with served(settings, judge):
        page, complaints = await opened(chromium, settings.entry_url)
        await page.goto(f"{settings.url}/labs/split")
        chapter, work, mesh = (page.locator(f"[data-pane={name}]") for name in ("chapter", "work", "mesh"))
        divider = page.get_by_role("separator", name="Width of the chapter")
        before = await side(chapter, "width")
        await divider.focus()
        for _ in range(5):
            await page.keyboard.press("ArrowRight")
        wider = await side(chapter, "width")
        assert wider > before + 100
        box = await divider.bounding_box()
        assert box
        await page.mouse.move(box["x"], 300)
        await page.mouse.down()
        await page.mouse.move(box["x"] - 200, 300)
        await page.mouse.up()
        dragged = await side(chapter, "width")
        assert abs(wider - 200 - dragged) < 3
        await page.get_by_role("button", name="Fold the mesh").click()
        await expect(page.get_by_role("button", name="Mesh", exact=True)).to_be_focused()
        tall = await side(work, "height")
        assert tall > 700

        await page.reload()
        assert await side(chapter, "width") == dragged
        assert await side(mesh, "height") < 50
        await page.get_by_role("button", name="Mesh", exact=True).click()
        assert await side(mesh, "height") > 200
        assert complaints == []


async def test_on_a_small_screen_the_panes_are_tabs(settings: Settings, judge: FakeJudge, chromium: Browser) -> None:
    async with served(settings, judge):
        page, complaints = await opened(chromium, settings.entry_url, width=375)
        await page.goto(f"{settings.url}/labs/split")
        await expect(page.locator("h1")).to_be_visible()
        await expect(page.locator("[data-pane=work]")).to_be_hidden()
        await page.get_by_role("button", name="Terminal", exact=True).click()
        await expect(page.locator("h1")).to_be_hidden()
        await page.get_by_role("button", name="Open a terminal").click()
        await type_command(page, "echo on a ph''one")
        await expect(shown_terminal(page)).to_contain_text("on a phone")
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0
        await page.get_by_role("button", name="Chapter", exact=True).click()
        await page.locator(".code-command").nth(1).get_by_role("button", name="Run").click()
        await expect(page.locator("[data-pane=work]")).to_be_visible()
        assert complaints == []
