"""Pictures of every page, to be looked at: kept in ``artifacts/screenshots`` (CI uploads them).

What is tested here is that each can be taken: that it loads, and complains of nothing.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect
from tests.web.samples import FAILED, PASSED, FakeJudge, FakeMesh, judged, served
from tests.web.test_browser import opened
from tests.web.test_browser_mesh import PARTS
from tests.web.test_browser_workbench import shown_terminal, type_command

from meshdojo.web.settings import Settings

pytestmark = pytest.mark.anyio

FOLDER = Path(__file__).parents[2] / "artifacts" / "screenshots"
WIDTHS = (375, 1024, 1600)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
async def test_every_page_has_its_picture(
    settings: Settings, judge: FakeJudge, chromium: Browser, scheme: str, width: int
) -> None:
    mesh = FakeMesh()
    mesh.show(**PARTS)
    async with served(settings, judge, mesh=mesh):
        page, complaints = await opened(chromium, settings.entry_url, scheme, width)

        async def take(name: str) -> None:
            FOLDER.mkdir(parents=True, exist_ok=True)
            await page.screenshot(path=FOLDER / f"{name}-{width}-{scheme}.png")

        await expect(page.locator("#mesh-summary")).to_contain_text("ready")
        await take("course")
        for name, path in (("search", "/search?q=weights"), ("glossary", "/glossary"), ("you", "/you")):
            await page.goto(f"{settings.url}{path}")
            await take(name)
        await page.goto(f"{settings.url}/labs/split")
        await judge.started.wait()
        judge.say("split", *judged("dark", PASSED), *judged("tenth", FAILED))
        await expect(page.locator("#state-tenth .verdict-notyet")).to_have_count(1)
        await take("lab")
        await page.locator("#task-tenth").scroll_into_view_if_needed()
        await take("task")
        await in_pane(page, width, "Terminal")
        await page.get_by_role("button", name="Open a terminal").click()
        await type_command(page, "ls --color /; echo re''ady")
        await expect(shown_terminal(page)).to_contain_text("ready")
        await take("terminal")
        await in_pane(page, width, "Editor")
        await expect(page.locator(".editor-host .cm-content")).to_be_visible()
        await take("editor")
        await in_pane(page, width, "Mesh")
        await expect(page.get_by_role("button", name="service web")).to_be_visible()
        await take("mesh")
        await page.get_by_role("button", name="service web").click()
        await expect(page.get_by_role("region", name="web", exact=True)).to_contain_text("web-1")
        await take("node")
        assert complaints == []


async def in_pane(page: Page, width: int, name: str) -> None:
    """Bring a pane into view: on a small screen by its tab."""
    if width < 1000:
        await page.get_by_role("button", name=name, exact=True).click()
    elif name != "Mesh":
        await page.get_by_role("tab", name=name).first.click()
