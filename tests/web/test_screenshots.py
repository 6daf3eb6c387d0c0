"""Every page, in both themes: axe finds nothing, it fits down to 320 px, its console is quiet, and it has its picture.

The pictures (three widths) are to be looked at: ``artifacts/screenshots``, which CI uploads.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from playwright.async_api import Browser, Page, expect
from tests.web.room import PLAN, seat
from tests.web.samples import BROKEN, FAILED, PASSED, FakeJudge, FakeMesh, judged, served
from tests.web.test_browser import open_everything, opened, violations
from tests.web.test_browser_editor import HEAD, editor, ours, write
from tests.web.test_browser_mesh import PARTS
from tests.web.test_browser_workbench import shown_terminal, type_command
from tests.web.test_signin import ISSUER, SmallProvider, small_provider

from meshdojo.web.settings import Provider, Settings

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("scheme", ["light", "dark"])]

FOLDER = Path(__file__).parents[2] / "artifacts" / "screenshots"
WIDTHS = (390, 768, 1440)
NARROWEST = 320
HEIGHTS = {390: 844, 768: 1024, 1440: 900}
# Below this width the panes of a lab are tabs.
TABS_BELOW = 1000


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> SmallProvider:
    return small_provider(monkeypatch)


@dataclass
class Walk:
    """A walk through pages in one theme; what is wrong with them is collected, so that one run tells all of it."""

    page: Page
    url: str
    scheme: str
    wrong: list[str] = field(default_factory=list)

    async def visit(self, name: str, path: str) -> None:
        """Open a page and look at it."""
        await self.page.goto(f"{self.url}{path}")
        await expect(self.page.get_by_role("heading", level=1)).to_be_visible()
        await self.look(name)

    async def look(self, name: str, *, whole: bool = True) -> None:
        """The page as it is now, from the narrowest window to the widest; `whole`: also what lies below the fold."""
        await self.at(NARROWEST)
        await self.fits(name)
        for width in WIDTHS:
            await self.at(width)
            await self.fits(name)
            await self.take(f"{name}-{width}", whole=whole)
        await self.is_accessible(name)

    async def at(self, width: int) -> None:
        await self.page.set_viewport_size({"width": width, "height": HEIGHTS.get(width, 800)})

    async def fits(self, name: str) -> None:
        over = await self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if over > 0:
            self.wrong.append(f"{name}: {over} px too wide for {await self.page.evaluate('innerWidth')}")

    async def take(self, name: str, *, whole: bool = False) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=FOLDER / f"{name}-{self.scheme}.png", full_page=whole)

    async def is_accessible(self, name: str) -> None:
        self.wrong += [f"{name}: {one}" for one in await violations(self.page)]

    async def in_pane(self, pane: str) -> None:
        """Bring a pane of the lab into view: in a narrow window by its tab."""
        if await self.page.evaluate("innerWidth") < TABS_BELOW:
            await self.page.get_by_role("button", name=pane, exact=True).click()
        elif pane in ("Terminal", "Editor"):
            await self.page.get_by_role("tab", name=pane).first.click()


async def test_a_learners_pages(settings: Settings, judge: FakeJudge, chromium: Browser, scheme: str) -> None:
    mesh = FakeMesh()
    mesh.show(**PARTS)
    async with served(settings, judge, mesh=mesh) as http:
        page, complaints = await opened(chromium, f"{settings.url}/", scheme)
        walk = Walk(page, settings.url, scheme)
        await walk.look("door")
        complaints.clear()  # that the door is shut (403) is what it was looked at for
        await page.goto(settings.entry_url)
        await expect(page.locator("#mesh-summary")).to_contain_text("ready")
        await walk.look("course")
        pages = {"search": "/search?q=weights", "nothing-found": "/search?q=quark", "glossary": "/glossary"}
        pages |= {"membership": "/membership", "missing": "/nothing"}
        for name, path in pages.items():
            await walk.visit(name, path)
        await http.post("/api/v1/me/tokens", json={"name": "script"}, headers=await csrf(http))
        await walk.visit("you", "/you")
        await walk.visit("people", "/people")
        await walk.visit("reference", "/reference")
        await page.goto(f"{settings.url}/labs/split")
        await judge.started.wait()
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        await walk.look("keys", whole=False)
        await page.keyboard.press("Escape")
        assert walk.wrong + [one for one in complaints if "404" not in one] == []  # 404: the page that is missing


async def test_a_lab_in_all_its_states(settings: Settings, judge: FakeJudge, chromium: Browser, scheme: str) -> None:
    mesh = FakeMesh()
    mesh.show(**PARTS)
    async with served(settings, judge, mesh=mesh):
        page, complaints = await opened(chromium, settings.entry_url, scheme, 1440)
        walk = Walk(page, settings.url, scheme)
        await page.goto(f"{settings.url}/labs/split")
        await judge.started.wait()
        for verdict, state in ((FAILED, "notyet"), (BROKEN, "error"), (PASSED, "passed")):
            judge.say("split", *judged("dark", PASSED), *judged("dark", FAILED), *judged("tenth", verdict))
            await expect(page.locator(f"#state-tenth .verdict-{state}")).to_be_visible()
            if state == "notyet":
                await walk.look("lab", whole=False)
            await open_everything(page)
            await page.locator("#task-tenth").scroll_into_view_if_needed()
            await walk.look(f"task-{state}", whole=False)
        for width in WIDTHS:
            await walk.at(width)
            await walk.in_pane("Terminal")
            if width == WIDTHS[0]:
                await page.get_by_role("button", name="Open a terminal").click()
                await type_command(page, "ls --color=always /; echo re''ady")
                await expect(shown_terminal(page)).to_contain_text("ready")
            await walk.take(f"terminal-{width}")
            await walk.is_accessible(f"terminal at {width}")
            await walk.in_pane("Mesh")
            await page.get_by_role("button", name="service web").click()
            await expect(page.get_by_role("region", name="web", exact=True)).to_contain_text("web-1")
            await walk.take(f"node-{width}")
            await walk.is_accessible(f"mesh at {width}")
            await page.keyboard.press("Escape")
            await walk.take(f"mesh-{width}")
        content = await editor(page, settings)
        await write(page, content, HEAD + "spec:\n  hots: [a] # a remark\n  http:\n    - weight: 5\n")
        await expect(page.locator(".cm-lintRange-error")).to_have_text(["hots"])
        for width in reversed(WIDTHS):
            await walk.at(width)
            await walk.in_pane("Editor")
            await walk.take(f"editor-{width}")
            await walk.is_accessible(f"editor at {width}")
        assert walk.wrong + ours(complaints) == []


async def test_the_pages_of_workshops(settings: Settings, judge: FakeJudge, chromium: Browser, scheme: str) -> None:
    async with served(settings, judge) as http:
        page, complaints = await opened(chromium, settings.entry_url, scheme)
        walk = Walk(page, settings.url, scheme)
        await walk.visit("workshops-none", "/workshops")
        headers = await csrf(http)
        plan: dict[str, Any] = PLAN | {"labs": ["split", "next"], "hold_solutions": True}
        made = (await http.post("/api/v1/workshops", json=plan, headers=headers)).json()
        base = f"/workshops/{made['id']}"
        await walk.visit("room-empty", base)
        ann = await seat(http, made["code"], "Ann Lindqvist")
        bob = await seat(http, made["code"], "Bob")
        await seat(http, made["code"], "Chidera Okonkwo-Featherstonehaugh")
        await ann.report(
            ann.attempt("dark", "pass"), ann.attempt("tenth", "fail", FAILED.reason), screen=True, mesh="ready"
        )
        await bob.report(bob.attempt("dark", "error", "the cluster does not answer"), mesh="unreachable")
        await http.post(f"/api/v1{base}/messages", json={"text": "Lunch until one."}, headers=headers)
        await http.post(f"/api/v1{base}/members/{bob.member}/requests", json={"kind": "screen"}, headers=headers)
        pages = {
            "workshops": "/workshops",
            "room": base,
            "plan": f"{base}/plan",
            "shoulder": f"{base}/members/{ann.member}",
            "ask": f"{base}/members/{bob.member}",
            "projector": f"{base}/projector",
        }
        for name, path in pages.items():
            await walk.visit(name, path)
        # Somebody who has only a browser: they join by the page, and find out how to go on.
        guest, guests_complaints = await opened(chromium, f"{settings.url}/join/{made['code']}", scheme)
        walk.page = guest
        await walk.look("join")
        await guest.get_by_label("Your name").fill("Dora")
        await guest.get_by_role("button", name="Join").click()
        await expect(guest.get_by_role("heading", level=1)).to_be_visible()
        await walk.visit("seat", "/seat")
        await walk.visit("course-of-a-member", "/")
        await walk.visit("lab-of-a-member", "/labs/split")
        assert walk.wrong + complaints + guests_complaints == []


async def test_the_pages_of_signing_in(
    settings: Settings, judge: FakeJudge, chromium: Browser, scheme: str, provider: SmallProvider
) -> None:
    """The provider lives in this process; what the person does on its page is left out."""
    settings = replace(settings, provider=Provider(ISSUER, "dojo", "a secret", frozenset(), frozenset()))
    async with served(settings, judge):
        page, complaints = await opened(chromium, settings.url, scheme)
        walk = Walk(page, settings.url, scheme)
        await walk.look("door-with-provider")
        await walk.visit("sign-in-refused", "/sign-in/back?error=access_denied")
        complaints.clear()  # both are shut doors (403)

        await expect(page.get_by_role("link", name="Another way in")).to_have_attribute("href", "/")
        begun = await page.context.request.get(f"{settings.url}/sign-in", max_redirects=0)
        back = urlencode(provider.authorize(begun.headers["location"]))
        await page.goto(f"{settings.url}/sign-in/back?{back}")
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await walk.look("course-signed-in")
        await walk.visit("you-signed-in", "/you")
        await expect(page.get_by_role("heading", name="Grace Hopper")).to_be_visible()
        assert walk.wrong + [one for one in complaints if "403" not in one] == []


async def csrf(http: httpx.AsyncClient) -> dict[str, str]:
    """The header by which the owner's page changes things."""
    return {"X-CSRF-Token": (await http.get("/")).text.split('name="csrf-token" content="', 1)[1].split('"', 1)[0]}
