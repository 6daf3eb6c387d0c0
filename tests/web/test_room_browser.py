"""A workshop in real browsers: an instructor and two learners at once, each with a meshdojo of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect
from tests.web.samples import FAILED, PASSED, FakeJudge, free_port, judged, served
from tests.web.test_browser import opened

from meshdojo.web.settings import Settings

pytestmark = pytest.mark.anyio


@dataclass
class Learner:
    """A learner's page, and the judge of their mesh."""

    page: Page
    judge: FakeJudge
    complaints: list[str]


@asynccontextmanager
async def learner(settings: Settings, chromium: Browser, folder: Path) -> AsyncIterator[Learner]:
    judge = FakeJudge()
    own = replace(settings, state_directory=folder, port=free_port())
    async with served(own, judge):
        page, complaints = await opened(chromium, own.entry_url)
        yield Learner(page, judge, complaints)


async def join(one: Learner, link: str, name: str) -> None:
    """Through the pages of their own meshdojo."""
    await one.page.get_by_label("Menu").click()
    await one.page.get_by_role("link", name="Join a workshop").click()
    await one.page.get_by_label("Link or address").fill(link)
    await one.page.get_by_label("Your name").fill(name)
    await one.page.get_by_role("button", name="Join").click()
    await expect(one.page.get_by_role("heading", level=1)).to_have_text("Istio day")


async def test_two_learners_and_an_instructor_at_once(
    settings: Settings, judge: FakeJudge, chromium: Browser, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(served(settings, judge))
        page, complaints = await opened(chromium, settings.entry_url, width=1440)
        await page.goto(f"{settings.url}/workshops")
        await page.get_by_label("Title").fill("Istio day")
        await page.get_by_label("Hold the answers back").check()
        await page.get_by_role("button", name="Create the workshop").click()
        await expect(page.get_by_text("Nobody is here yet")).to_be_visible()
        link = await page.locator(".join-card .command code").inner_text()

        ann = await stack.enter_async_context(learner(settings, chromium, tmp_path / "ann"))
        bob = await stack.enter_async_context(learner(settings, chromium, tmp_path / "bob"))
        await join(ann, link, "Ann")
        await join(bob, link, "Bob")
        rows = page.locator("[data-member]")
        await expect(rows).to_have_count(2)
        await expect(page.get_by_text("Nobody is here yet")).to_be_hidden()

        # What their checks find appears by itself.
        for one in (ann, bob):
            await one.page.goto(one.page.url.replace("/membership", "/labs/split"))
            await one.judge.started.wait()
        ann.judge.say("split", *judged("dark", PASSED), *judged("tenth", FAILED))
        bob.judge.say("split", *judged("dark", FAILED))
        anns, bobs = rows.filter(has_text="Ann"), rows.filter(has_text="Bob")
        await expect(anns.locator(".cell-passed")).to_have_count(1)
        await expect(anns).to_contain_text(FAILED.reason)
        await expect(bobs.locator(".cell-notyet")).to_have_count(1)

        # Said to everybody; the answers are held back and one is given away.
        await page.get_by_label("Message").fill("Lunch until one.")
        await page.get_by_role("button", name="Send").click()
        for one in (ann, bob):
            await expect(one.page.get_by_label("Workshop", exact=True)).to_contain_text("Lunch until one.")
        await ann.page.get_by_role("button", name="Got it").click()
        await expect(ann.page.locator(".strip-text")).to_be_hidden()

        # The plan is changed while the room's page is open elsewhere: its grid follows.
        wall = await page.context.new_page()
        await wall.goto(page.url)
        await expect(wall.locator(".grid-lab")).to_have_count(2)
        await wall.goto(f"{page.url}/plan")
        await wall.get_by_role("checkbox", name="The next lab").uncheck()
        await wall.get_by_label("Title").fill("Istio evening")
        await wall.get_by_role("button", name="Save the plan").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Istio evening")
        await expect(page.locator(".grid-lab")).to_have_count(1)
        await expect(anns.locator(".cell-passed")).to_have_count(1)
        await wall.close()

        # Over Ann's shoulder: she is asked, agrees, sees it, and ends it.
        await anns.get_by_role("link", name="Ann").click()
        await page.get_by_role("button", name="Ask to see it").click()
        await ann.page.get_by_role("button", name="Show it").click()
        await expect(ann.page.locator(".strip-watch")).to_be_visible()
        await expect(page.get_by_text("Ann is told that you look")).to_be_visible()
        await ann.page.get_by_role("button", name="Stop sharing my terminal").click()
        await expect(ann.page.locator(".strip-watch")).to_be_hidden()
        await expect(page.get_by_role("button", name="Ask to see it")).to_be_visible()
        assert complaints + ann.complaints + bob.complaints == []
