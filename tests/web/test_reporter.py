"""A learner's own meshdojo takes part in a workshop elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.web.room import PLAN
from tests.web.samples import FAILED, PASSED, FakeJudge, Visitor, eventually, free_port, judged, running, served

from meshdojo.errors import UserError
from meshdojo.web.app import create_app
from meshdojo.web.live import MeshStatus
from meshdojo.web.memberships import JoinError, invitation
from meshdojo.web.models import LOCAL_LEARNER
from meshdojo.web.pages.site import Site
from meshdojo.web.progress import Progress
from meshdojo.web.reporter import SCREEN_BYTES
from meshdojo.web.scrollback import Scrollback
from meshdojo.web.settings import Settings

pytestmark = pytest.mark.anyio


@dataclass
class Room:
    """The workshop's site, and what its instructor does."""

    http: httpx.AsyncClient
    csrf: str
    made: dict[str, Any]

    async def do(self, method: str, path: str, **body: Any) -> httpx.Response:
        headers = {"X-CSRF-Token": self.csrf}
        path = f"/api/v1/workshops/{self.made['id']}{path}"
        return await self.http.request(method, path, json=body, headers=headers)

    async def row(self) -> dict[str, Any]:
        rows: list[dict[str, Any]] = (await self.do("GET", "/roster")).json()
        return rows[0] if rows else {}

    async def until(self, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the first row of the roster is so."""
        async with asyncio.timeout(60):
            while not true(row := await self.row()):  # noqa: ASYNC110 - it comes from another program
                await asyncio.sleep(0.05)
        return row


@pytest.fixture
async def room(settings: Settings) -> AsyncIterator[Room]:
    async with room_of(settings) as room:
        yield room


@asynccontextmanager
async def room_of(settings: Settings) -> AsyncIterator[Room]:
    """A workshop's site that runs as long as the block lasts."""
    async with served(settings, FakeJudge()) as http:
        text = (await http.get("/")).text
        csrf = text.split('name="csrf-token" content="', 1)[1].split('"', 1)[0]
        made = await http.post("/api/v1/workshops", json=PLAN, headers={"X-CSRF-Token": csrf})
        yield Room(http, csrf, made.json())


@dataclass
class FakeScreen:
    """A terminal, as far as it can be looked at."""

    id: str = "one"
    name: str = "Terminal 1"
    columns: int = 100
    rows: int = 30
    scrollback: Scrollback = field(default_factory=Scrollback)


@dataclass
class Home:
    """The learner's machine: their site, and what was reset on it."""

    site: Site
    judge: FakeJudge
    resets: list[str]
    screen: FakeScreen

    async def join(self, room: Room, screen: bool = False) -> None:
        await self.site.reporter.memberships.join(invitation(room.made["link"]), "Ann", screen)
        await self.shows(lambda: self.site.reporter.attendance.connected)

    async def shows(self, true: Callable[[], bool]) -> None:
        await eventually(true)


@pytest.fixture
async def home(elsewhere: Settings, judge: FakeJudge) -> AsyncIterator[Home]:
    resets: list[str] = []

    async def reset(lab: str) -> None:
        resets.append(lab)
        if len(resets) > 1:
            raise UserError("the cluster does not answer")

    async with home_of(elsewhere, judge, reset, resets) as found:
        yield found


class home_of:  # noqa: N801 - used as a function
    """A learner's site that runs as long as the block lasts."""

    def __init__(
        self, settings: Settings, judge: FakeJudge, reset: Callable[[str], Awaitable[None]], resets: list[str]
    ) -> None:
        self._app = create_app(settings, judge=judge, reset=reset)
        self._running = running(self._app)
        site: Site = self._app.state.site
        self._home = Home(site, judge, resets, FakeScreen())
        site.reporter._screens = lambda: [self._home.screen]

    async def __aenter__(self) -> Home:
        self.visitor: Visitor = await self._running.__aenter__()
        return self._home

    async def __aexit__(self, *error: object) -> None:
        await self._running.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("address", "code", "expected"),
    [
        ("http://dojo.example/join/KX4T-9TQB", "", ("http://dojo.example", "KX4T-9TQB")),
        (" https://dojo.example:8484/ ", "kx4t 9tqb", ("https://dojo.example:8484", "kx4t 9tqb")),
        ("https://example.com/dojo/join/KX4T-9TQB/", "", ("https://example.com/dojo", "KX4T-9TQB")),
    ],
)
def test_an_invitation_is_a_link_or_an_address_and_a_code(address: str, code: str, expected: tuple[str, str]) -> None:
    found = invitation(address, code)
    assert (found.site, found.code) == expected


@pytest.mark.parametrize("address", ["", "dojo.example", "ftp://dojo.example/join/X", "http://dojo.example"])
def test_what_is_no_invitation(address: str) -> None:
    with pytest.raises(JoinError):
        invitation(address)


async def test_whatever_the_other_side_says_is_told_in_words(home: Home, room: Room) -> None:
    memberships = home.site.reporter.memberships
    with pytest.raises(JoinError, match="No open workshop has this code"):
        await memberships.join(invitation(room.made["link"].rpartition("/join/")[0], "GUESS"), "Ann", False)
    with pytest.raises(JoinError, match="cannot be reached"):
        await memberships.join(invitation(f"http://127.0.0.1:{free_port()}/join/X"), "Ann", False)
    assert await memberships.current() is None


async def test_what_the_checks_find_appears_in_the_room(home: Home, room: Room) -> None:
    await home.join(room)
    async with home.site.hub.watch(LOCAL_LEARNER, "split"):
        await home.judge.started.wait()
        home.judge.say("split", *judged("dark", PASSED), *judged("tenth", FAILED))
        row = await room.until(lambda row: row["current"] == "split/tenth" and row["reason"] != "")
    assert (row["name"], row["passed"], row["reason"]) == ("Ann", 1, FAILED.reason)
    await room.until(lambda row: (row["lab"], row["online"]) == ("split", True))


async def test_the_lab_is_judged_and_the_mesh_looked_at_when_no_page_is_open(home: Home, room: Room) -> None:
    home.judge.mesh = MeshStatus("embedded", "ready")
    await home.join(room)
    await room.until(lambda row: row["mesh"] == "ready")
    async with home.site.hub.watch(LOCAL_LEARNER, "split"):
        await home.judge.started.wait()
    assert home.site.hub.watching == 0
    # The page is closed, for longer than it would take the judge to stop; they go on in a terminal of their own.
    await home.shows(lambda: len(home.site.hub._watchers) == 1)
    live = await home.site.hub.lab(LOCAL_LEARNER, "split")
    await home.shows(lambda: live._stopping is None)
    home.judge.say("split", *judged("dark", PASSED))
    await room.until(lambda row: (row["passed"], row["lab"]) == (1, "split"))
    home.judge.mesh = MeshStatus("embedded", "unreachable")
    await room.until(lambda row: row["mesh"] == "unreachable")


async def test_after_a_restart_the_lab_that_was_tried_last_is_judged(
    elsewhere: Settings, settings: Settings, judge: FakeJudge
) -> None:
    async def reset(_lab: str) -> None: ...

    async with room_of(settings) as room:
        async with home_of(elsewhere, FakeJudge(), reset, []) as home:
            await home.join(room)
            await home.site.progress.record(LOCAL_LEARNER, "split", "dark", FAILED)
        async with home_of(elsewhere, judge, reset, []) as home:
            await judge.started.wait()
            assert (list(judge.watching), home.site.hub.watching) == (["split"], 0)
            await room.do("PUT", "/state", closed=True)
            # A workshop that is over keeps nobody's machine busy.
            home.site.hub._linger = 0.0
            await eventually(judge.left.is_set)


async def test_what_was_done_before_joining_is_not_told(home: Home, room: Room) -> None:
    await home.site.progress.record(LOCAL_LEARNER, "split", "dark", PASSED)
    await home.join(room)
    await home.site.progress.record(LOCAL_LEARNER, "split", "tenth", PASSED)
    await home.site.progress.record(LOCAL_LEARNER, "next", "dark", PASSED)
    row = await room.until(lambda row: row["passed"] == 1)
    assert [task["state"] for task in row["tasks"]] == ["idle", "passed"]
    export = (await room.do("GET", "/export.json")).json()
    assert [(one["lab"], one["task"]) for one in export["attempts"]] == [("split", "tenth")]


async def test_messages_and_locks_reach_the_learner(home: Home, room: Room) -> None:
    await home.join(room)
    reporter = home.site.reporter
    assert not reporter.holds("split", "dark")
    await room.do("PUT", "", **(PLAN | {"hold_solutions": True, "labs": ["split", "next"]}))
    await home.shows(lambda: reporter.holds("split", "dark") and reporter.holds("next", "dark"))
    await room.do("PUT", "/solutions", lab="split", task="dark", locked=False)
    await home.shows(lambda: not reporter.holds("split", "dark"))
    assert reporter.holds("split", "tenth")
    await room.do("POST", "/messages", text="Lunch!")
    await home.shows(lambda: [one["text"] for one in reporter.attendance.news] == ["Lunch!"])
    membership = reporter.attendance.membership
    assert membership is not None
    await reporter.memberships.put_away(membership.id, reporter.attendance.news[0]["id"])
    await home.shows(lambda: reporter.attendance.news == ())


async def test_a_reset_is_done_when_the_learner_agrees_and_told_when_it_fails(home: Home, room: Room) -> None:
    await home.join(room)
    member = (await room.row())["member"]
    reporter = home.site.reporter

    async def asked() -> int:
        made = await room.do("POST", f"/members/{member}/requests", kind="reset", lab="split")
        number: int = made.json()["id"]
        await home.shows(lambda: [one["id"] for one in reporter.attendance.requests] == [number])
        return number

    async def became(number: int, state: str) -> str:
        async with asyncio.timeout(60):
            while True:
                (one,) = [
                    one for one in (await room.do("GET", f"/members/{member}/requests")).json() if one["id"] == number
                ]
                if one["state"] == state:
                    return str(one["detail"])
                await asyncio.sleep(0.05)

    first = await asked()
    reporter.answer(first, accept=False)
    await became(first, "refused")
    assert home.resets == []
    second = await asked()
    reporter.answer(second, accept=True)
    await became(second, "done")
    assert home.resets == ["split"]
    third = await asked()
    reporter.answer(third, accept=True)
    assert await became(third, "failed") == "the cluster does not answer"
    await home.shows(lambda: reporter.attendance.requests == ())


async def test_a_terminal_is_shown_only_when_allowed_and_only_while_somebody_looks(home: Home, room: Room) -> None:
    await home.join(room)
    member = (await room.row())["member"]
    reporter = home.site.reporter
    home.screen.scrollback.append(b"$ kubectl get pods\r\n")
    stream = f"/workshops/{room.made['id']}/members/{member}/live"
    async with room.http.stream("GET", stream, timeout=60) as answer:
        await home.shows(lambda: reporter.attendance.watcher == "Your instructor")
        assert not reporter.attendance.watched
        assert not reporter.attendance.membership.screen  # type: ignore[union-attr]
        await reporter.memberships.share_screen(reporter.attendance.membership.id, share=True)  # type: ignore[union-attr]
        await home.shows(lambda: reporter.attendance.watched)
        async for line in answer.aiter_lines():
            if '"terminal": "one"' in line:
                assert '"columns": 100' in line
                assert '"data": "JCBrdWJlY3RsIGdldCBwb2RzDQo="' in line
                break
        await reporter.memberships.share_screen(reporter.attendance.membership.id, share=False)  # type: ignore[union-attr]
        await home.shows(lambda: not reporter.attendance.watched)


async def test_a_screen_that_ran_far_ahead_is_shown_from_its_end(home: Home) -> None:
    home.screen.scrollback.append(b"x" * (SCREEN_BYTES * 3))
    sent: list[dict[str, Any]] = []

    def take(request: httpx.Request) -> httpx.Response:
        sent.append(httpx.Response(200, content=request.content).json())
        return httpx.Response(204)

    async with httpx.AsyncClient(transport=httpx.MockTransport(take), base_url="http://dojo.example") as http:
        shown: dict[str, int] = {}
        await home.site.reporter._show_screen(http, home.screen, shown)
        await home.site.reporter._show_screen(http, home.screen, shown)
    assert [(piece["place"], len(piece["data"])) for piece in sent] == [(SCREEN_BYTES * 2, (SCREEN_BYTES + 2) // 3 * 4)]


async def test_nothing_is_lost_while_the_line_is_down(
    elsewhere: Settings, settings: Settings, judge: FakeJudge
) -> None:
    async def reset(_lab: str) -> None: ...

    async with served(settings, FakeJudge()) as http:
        text = (await http.get("/")).text
        csrf = text.split('name="csrf-token" content="', 1)[1].split('"', 1)[0]
        made = (await http.post("/api/v1/workshops", json=PLAN, headers={"X-CSRF-Token": csrf})).json()
        first = Room(http, csrf, made)
        async with home_of(elsewhere, judge, reset, []) as home:
            await home.join(first)
    # The room is down, and the learner works on, in a site that was started anew.
    async with home_of(elsewhere, judge, reset, []) as home:
        for outcome in (FAILED, PASSED, FAILED):
            await home.site.progress.record(LOCAL_LEARNER, "split", "dark", outcome)
        await home.shows(lambda: home.site.reporter.attendance.trouble not in ("", "connecting"))
        async with served(settings, FakeJudge()) as http:
            room = Room(http, csrf, made)
            await room.until(lambda row: row["tasks"][0]["tries"] == 3)
            export = (await room.do("GET", "/export.json")).json()
            assert [one["outcome"] for one in export["attempts"]] == ["fail", "pass", "fail"]


async def test_who_was_removed_is_told_and_left_in_peace(home: Home, room: Room) -> None:
    await home.join(room)
    member = (await room.row())["member"]
    await room.do("DELETE", f"/members/{member}")
    await home.shows(lambda: home.site.reporter.attendance.membership is None)
    assert await home.site.reporter.memberships.current() is None


async def test_a_second_machine_takes_the_seat_over(home: Home, room: Room, settings: Settings, tmp_path: Path) -> None:
    """In the browser first; then a pairing code brings the learner's own meshdojo to the same seat."""
    async with httpx.AsyncClient(base_url=settings.url, follow_redirects=True) as browser:
        page = await browser.post("/join", data={"code": room.made["code"], "name": "Ann"})
        assert "Now your own machine joins" in page.text
        code = page.text.split(f"meshdojo join {settings.url} ", 1)[1].split("<", 1)[0]
        await home.site.reporter.memberships.join(invitation(settings.url, code), "", False)
        await home.shows(lambda: home.site.reporter.attendance.connected)
        await home.site.progress.record(LOCAL_LEARNER, "split", "dark", PASSED)
        row = await room.until(lambda row: row["passed"] == 1)
        assert row["name"] == "Ann"
        assert len((await room.do("GET", "/roster")).json()) == 1
        # The browser sees it, too; and nothing of hers is checked or run on the workshop's machine.
        lab = await browser.get("/labs/split")
        assert "Passed" in lab.text
        assert (await browser.get("/workshops")).status_code == 403
        opened = await browser.post("/labs/split/shells", headers={"X-CSRF-Token": csrf_of(lab.text)}, json={})
        assert opened.status_code == 403


def csrf_of(page: str) -> str:
    return page.split('name="csrf-token" content="', 1)[1].split('"', 1)[0]


async def test_attempts_are_reported_once_each(home: Home, room: Room) -> None:
    await home.join(room)
    progress: Progress = home.site.progress
    await asyncio.gather(*(progress.record(LOCAL_LEARNER, "split", "dark", replace(FAILED)) for _ in range(250)))
    row = await room.until(lambda row: row["tasks"][0]["tries"] == 250)
    assert row["tasks"][0]["state"] == "notyet"
