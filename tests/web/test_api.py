"""The API: who may do what, and that it says so; workshops from the code to the roster."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.web import room
from tests.web.room import led, seat, stranger
from tests.web.samples import FAILED, PASSED, FakeJudge, Visitor, entered, judged

from meshdojo.web.app import API, create_app
from meshdojo.web.security import require_csrf
from meshdojo.web.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings_on(settings: Settings, database_url: str) -> Settings:
    return replace(settings, database_url=database_url)


@pytest.fixture
async def instructor(settings_on: Settings, judge: FakeJudge) -> Any:
    """The owner of a site, on SQLite and on PostgreSQL."""
    async with entered(create_app(settings_on, judge=judge)) as visitor:
        yield visitor


def test_everything_that_changes_something_wants_a_csrf_token() -> None:
    changing = [
        route
        for part in API
        for route in part.router.routes
        if set(getattr(route, "methods", None) or ()) & {"POST", "PUT", "PATCH", "DELETE"}
    ]
    assert len(changing) > 15
    without = [route.path for route in changing if not any(one.call is require_csrf for one in _dependencies(route))]
    assert without == ["/api/v1/join"]


def _dependencies(route: Any) -> list[Any]:
    found: list[Any] = list(route.dependant.dependencies)
    return found


async def test_without_a_session_the_api_says_what_to_do(instructor: Visitor) -> None:
    async with stranger(instructor) as nobody:
        for path in ("/api/v1/me", "/api/v1/workshops", "/api/v1/labs", "/api/v1/desk/stream"):
            answer = await nobody.get(path)
            assert (answer.status_code, "personal token" in answer.json()["detail"]) == (401, True), path
        assert (await nobody.get("/api/openapi.json")).status_code == 200
        for path in ("/api/v1/nothing", "/api/"):
            answer = await nobody.get(path)
            assert (answer.status_code, "detail" in answer.json()) == (404, True)


async def test_the_owner_is_an_admin_and_makes_tokens(instructor: Visitor) -> None:
    me = (await instructor.http.get("/api/v1/me")).json()
    assert (me["role"], me["owner"]) == ("admin", True)
    assert (await instructor.http.post("/api/v1/me/tokens", json={"name": "x"})).status_code == 403
    token = (await led(instructor, "POST", "/me/tokens", name="a script")).json()["token"]
    async with stranger(instructor) as script:
        headers = {"Authorization": f"Bearer {token}"}
        assert (await script.get("/api/v1/me", headers=headers)).json()["owner"] is True
        made = await script.post("/api/v1/workshops", json=room.PLAN, headers=headers)
        assert made.status_code == 201
        # A page is for a browser.
        assert (await script.get("/", headers=headers)).status_code == 403
        (kept,) = (await script.get("/api/v1/me/tokens", headers=headers)).json()
        assert "secret" not in str(kept)
        assert (await led(instructor, "DELETE", f"/me/tokens/{kept['id']}")).status_code == 204
        assert (await script.get("/api/v1/me", headers=headers)).status_code == 401


async def test_a_lab_is_checked_for_the_owner_only(instructor: Visitor, judge: FakeJudge) -> None:
    made = await room.workshop(instructor)
    async with stranger(instructor) as http:
        ann = await seat(http, made["code"], "Ann")
        refused = await http.post("/api/v1/labs/split/check", headers=ann.headers)
        assert (refused.status_code, "this machine's owner" in refused.json()["detail"]) == (403, True)
        assert judge.watching == {}


async def test_a_check_answers_with_every_task_and_is_kept(instructor: Visitor, judge: FakeJudge) -> None:
    judge.script["split"] = [*judged("dark", PASSED), *judged("tenth", FAILED)]
    answer = await led(instructor, "POST", "/labs/split/check")
    assert [(one["task"], one["outcome"]) for one in answer.json()] == [("dark", "pass"), ("tenth", "fail")]
    kept = (await instructor.http.get("/api/v1/labs/split/progress")).json()
    assert {one["task"]: (one["outcome"], one["tries"]) for one in kept} == {"dark": ("pass", 1), "tenth": ("fail", 1)}
    assert (await led(instructor, "POST", "/labs/none/check")).status_code == 404


async def test_from_the_code_to_the_roster(instructor: Visitor) -> None:
    made = await room.workshop(instructor)
    assert made["link"].endswith(f"/join/{made['code']}")
    async with stranger(instructor) as http:
        ann = await seat(http, made["code"].lower().replace("-", " "), "Ann")
        first = ann.attempt("dark", "fail", "no subset", age=1200)
        assert (await ann.report(first, lab="split", mesh="ready", version="1")).json() == {"kept": 1}
        (row,) = (await instructor.http.get(f"/api/v1/workshops/{made['id']}/roster")).json()
        assert (row["name"], row["online"], row["place"], row["current"]) == ("Ann", True, "working", "split/dark")
        assert row["reason"] == "no subset"
        # It failed twenty minutes ago, but she joined just now.
        assert row["since"] == row["joined_at"]
        failing = datetime.fromisoformat(row["tasks"][0]["failing_since"])
        assert timedelta(minutes=19) < datetime.now(UTC) - failing < timedelta(minutes=30)

        # The answer was lost: the same comes again, with something new.
        again = await ann.report(first, ann.attempt("dark", "pass"), ann.attempt("tenth", "error", "no cluster"))
        assert again.json() == {"kept": 2}
        (row,) = (await instructor.http.get(f"/api/v1/workshops/{made['id']}/roster")).json()
        assert (row["place"], row["current"], row["passed"]) == ("broken", "split/tenth", 1)
        assert [(task["state"], task["tries"]) for task in row["tasks"]] == [("passed", 2), ("error", 1)]

        mine = (await http.get("/api/v1/labs/split/progress", headers=ann.headers)).json()
        assert mine == {"detail": "This token may only report to a workshop."}


@pytest.mark.parametrize("name", ["", " ", "x" * 61, "bell\x07"])
async def test_names_that_are_refused(instructor: Visitor, name: str) -> None:
    made = await room.workshop(instructor)
    answer = await instructor.http.post("/api/v1/join", json={"code": made["code"], "name": name})
    assert answer.status_code in (409, 422)
    assert "name" in answer.json()["detail"].lower()


async def test_nobody_joins_as_somebody_else(instructor: Visitor) -> None:
    made = await room.workshop(instructor)
    async with stranger(instructor) as http:
        await seat(http, made["code"], "Ann Lee")
        taken = await http.post("/api/v1/join", json={"code": made["code"], "name": "ann  LEE"})
        assert (taken.status_code, "choose another name" in taken.json()["detail"]) == (409, True)
        assert len((await instructor.http.get(f"/api/v1/workshops/{made['id']}/roster")).json()) == 1


async def test_wrong_codes_are_tried_only_so_often(instructor: Visitor) -> None:
    made = await room.workshop(instructor)
    async with stranger(instructor) as http:
        answers = [(await http.post("/api/v1/join", json={"code": f"GUESS{n}", "name": "Eve"})) for n in range(11)]
        assert [answer.status_code for answer in answers] == [404] * 10 + [429]
        assert int(answers[-1].headers["retry-after"]) > 0
        # Not even the right one: else guessing went on behind the limit.
        late = await http.post("/api/v1/join", json={"code": made["code"], "name": "Eve"})
        assert late.status_code == 429


async def test_a_closed_workshop_takes_nobody_and_nothing(instructor: Visitor) -> None:
    made = await room.workshop(instructor)
    async with stranger(instructor) as http:
        ann = await seat(http, made["code"], "Ann")
        closed = await led(instructor, "PUT", f"/workshops/{made['id']}/state", closed=True)
        assert closed.json()["closed_at"]
        assert (await ann.report(ann.attempt("dark", "pass"))).json() == {"detail": "The workshop is over."}
        assert (await http.post("/api/v1/join", json={"code": made["code"], "name": "Bob"})).status_code == 404
        await led(instructor, "PUT", f"/workshops/{made['id']}/state", closed=False)
        assert (await ann.report(ann.attempt("dark", "pass"))).json() == {"kept": 1}


async def test_another_code_shuts_the_old_one_out(instructor: Visitor) -> None:
    made = await room.workshop(instructor)
    renewed = (await led(instructor, "POST", f"/workshops/{made['id']}/code")).json()
    assert renewed["code"] != made["code"]
    answer = await instructor.http.post("/api/v1/join", json={"code": made["code"], "name": "Ann"})
    assert answer.status_code == 404


async def test_who_is_removed_is_forgotten_and_their_token_with_them(instructor: Visitor) -> None:
    made = await room.workshop(instructor)
    async with stranger(instructor) as http:
        ann = await seat(http, made["code"], "Ann")
        await ann.report(ann.attempt("dark", "pass"))
        path = f"/workshops/{made['id']}/members/{ann.member}"
        assert (await led(instructor, "DELETE", path)).status_code == 204
        assert (await led(instructor, "DELETE", path)).status_code == 404
        assert (await ann.report()).status_code == 401
        export = (await instructor.http.get(f"/api/v1/workshops/{made['id']}/export.json")).json()
        assert (export["learners"], export["attempts"]) == ([], [])
        await seat(http, made["code"], "Ann")


async def test_who_leaves_is_forgotten(instructor: Visitor) -> None:
    made = await room.workshop(instructor)
    async with stranger(instructor) as http:
        ann = await seat(http, made["code"], "Ann")
        assert (await http.delete("/api/v1/desk", headers=ann.headers)).status_code == 204
        assert (await ann.report()).status_code == 401


async def test_requests_are_answered_once_by_whom_they_were_put_to(instructor: Visitor) -> None:
    made = await room.workshop(instructor)
    async with stranger(instructor) as http:
        ann, bob = await seat(http, made["code"], "Ann"), await seat(http, made["code"], "Bob")
        path = f"/workshops/{made['id']}/members/{ann.member}/requests"
        assert (await led(instructor, "POST", path, kind="reset", lab="other")).status_code == 422
        first = (await led(instructor, "POST", path, kind="reset", lab="split")).json()["id"]
        second = (await led(instructor, "POST", path, kind="reset", lab="split")).json()["id"]

        async def answer(who: room.Seat, number: int, state: str) -> int:
            body = {"state": state, "detail": "did it"}
            done = await http.post(f"/api/v1/desk/requests/{number}", json=body, headers=who.headers)
            return done.status_code

        assert await answer(bob, second, "done") == 404
        assert await answer(ann, first, "done") == 404
        assert [await answer(ann, second, state) for state in ("accepted", "done", "done")] == [204, 204, 404]
        asked = (await instructor.http.get(f"/api/v1{path}")).json()
        assert [(one["id"], one["state"], one["detail"]) for one in asked] == [
            (second, "done", "did it"),
            (first, "withdrawn", ""),
        ]


async def test_exports_have_every_attempt_and_no_formulas(instructor: Visitor) -> None:
    made = await room.workshop(instructor)
    async with stranger(instructor) as http:
        eve = await seat(http, made["code"], "=cmd()")
        await eve.report(eve.attempt("dark", "fail", 'no "subset",\nyet', seconds=1.5), eve.attempt("dark", "pass"))
    base = f"/api/v1/workshops/{made['id']}"
    answer = await instructor.http.get(f"{base}/export/attempts.csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [(row["name"], row["outcome"], row["reason"], row["seconds"]) for row in rows] == [
        ("'=cmd()", "fail", 'no "subset",\nyet', "1.5"),
        ("'=cmd()", "pass", "", "0.0"),
    ]
    (line,) = csv.DictReader(io.StringIO((await instructor.http.get(f"{base}/export/roster.csv")).text, newline=""))
    assert (line["passed"], line["split/dark tries"], line["split/tenth tries"]) == ("1", "2", "0")
    export = (await instructor.http.get(f"{base}/export.json")).json()
    assert [one["name"] for one in export["learners"]] == ["=cmd()"]
    assert [one["outcome"] for one in export["attempts"]] == ["fail", "pass"]


async def test_plans_that_mean_nothing_are_refused_with_words(instructor: Visitor) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"labs": []}, "labs"),
        ({"labs": ["none"]}, "there is none called 'none'"),
        ({"labs": ["split", "split"]}, "named twice"),
        ({"ends_at": room.PLAN["starts_at"]}, "ends after it starts"),
        ({"starts_at": "2026-01-01T00:00:00"}, "starts_at"),
        ({"starts_at": "0001-01-01T00:00:00+23:59"}, "year"),
        ({"title": ""}, "title"),
        ({"title": "a\0b"}, "NUL"),
        ({"colour": "red"}, "colour"),
    ]
    for change, words in cases:
        answer = await led(instructor, "POST", "/workshops", **(room.PLAN | change))
        assert (answer.status_code, words in answer.json()["detail"]) == (422, True), answer.text


async def test_a_plan_is_decided_anew_and_open_pages_are_told(instructor: Visitor) -> None:
    made = await room.workshop(instructor, labs=["next", "split"], backend="kind", hold_solutions=True)
    base = f"/workshops/{made['id']}"
    page = (await instructor.http.get(f"{base}/plan")).text
    assert page.index('value="next"') < page.index('value="split"')  # in the workshop's order
    assert f'data-moment="{room.PLAN["starts_at"]}"' in page
    for words in ('value="Istio day"', "<option selected>kind</option>", 'name="hold_solutions" data-flag checked'):
        assert words in page
    stream = (await instructor.http.get(base)).text.split('name="room-stream" content="', 1)[1].split('"', 1)[0]
    stream = stream.replace("&amp;", "&")
    changed = await led(instructor, "PUT", base, **(room.PLAN | {"title": "Istio evening"}))
    assert (changed.status_code, changed.json()["labs"]) == (200, ["split"])
    # A page of the old plan has other columns: it is told to come anew.
    assert "event: anew" in (await instructor.http.get(stream)).text
    page = (await instructor.http.get(f"{base}/plan")).text
    assert 'value="split" data-list checked' in page
    assert 'value="next" data-list>' in page
    assert "Plan of Istio evening" in page


async def test_only_who_leads_sees_a_plan(instructor: Visitor) -> None:
    made = await room.workshop(instructor)
    assert (await instructor.http.get("/workshops/4711/plan")).status_code == 404
    async with stranger(instructor) as ann:
        await ann.post("/join", data={"code": made["code"], "name": "Ann"})
        assert (await ann.get(f"/workshops/{made['id']}/plan")).status_code == 403


async def test_the_owner_takes_their_data_along(instructor: Visitor, judge: FakeJudge) -> None:
    judge.script["split"] = [*judged("dark", PASSED), *judged("tenth", FAILED)]
    await led(instructor, "POST", "/labs/split/check")
    kept = (await instructor.http.get("/api/v1/me/data")).json()
    assert [(one["task"], one["seconds"]) for one in kept["attempt"]] == [("dark", 0.4), ("tenth", 0.4)]
    assert (await led(instructor, "DELETE", "/me/data")).status_code == 204
    assert (await instructor.http.get("/api/v1/me/data")).json()["attempt"] == []
    assert (await led(instructor, "DELETE", "/me")).status_code == 409
