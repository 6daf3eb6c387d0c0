"""The pages as the server sends them, also to browsers without scripts."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from tests.web.samples import LAB, FakeJudge, Visitor, entered

from meshdojo.web import library
from meshdojo.web.app import create_app
from meshdojo.web.progress import LabProgress
from meshdojo.web.settings import Settings

pytestmark = pytest.mark.anyio

WHY = "which-of-these-change-how-many-requests-reach-the-new-version"


async def test_the_course_shows_every_chapter_and_what_to_do_next(visitor: Visitor) -> None:
    text = (await visitor.http.get("/")).text
    assert text.index("Start here") < text.index("Split the traffic") < text.index("The next lab")
    assert 'href="/labs/split"' in text
    assert "0 of 2 passed" in text


@pytest.fixture
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read of the files a moment ago is not good enough."""
    monkeypatch.setattr(library, "LOOK_AGAIN_SECONDS", 0.0)


@pytest.mark.usefixtures("looks_at_once")
async def test_a_broken_lab_is_named_and_hides_no_other(visitor: Visitor, content: Path) -> None:
    (content / "labs" / "20-next" / "lab.md").write_text(LAB.replace("difficulty: beginner", "difficulty: evil"))
    text = (await visitor.http.get("/")).text
    assert "labs/20-next/lab.md:6: entry &#39;difficulty&#39;: found &#39;evil&#39;" in text
    assert "Split the traffic" in text
    assert (await visitor.http.get("/labs/next")).status_code == 404
    assert (await visitor.http.get("/labs/split")).status_code == 200


@pytest.mark.usefixtures("looks_at_once")
async def test_an_edited_lab_shows_on_the_next_reload(visitor: Visitor, content: Path) -> None:
    assert "Nobody knows how it behaves" in (await visitor.http.get("/labs/split")).text
    (content / "labs" / "10-split" / "lab.md").write_text(LAB.replace("Nobody knows", "Somebody knows"))
    assert "Somebody knows how it behaves" in (await visitor.http.get("/labs/split")).text


async def test_an_empty_course_says_where_labs_would_be(settings: Settings, judge: FakeJudge, tmp_path: Path) -> None:
    async with entered(create_app(replace(settings, content=tmp_path / "empty"), judge=judge)) as visitor:
        text = (await visitor.http.get("/")).text
    assert "No chapters yet" in text
    assert str(tmp_path / "empty" / "labs") in text


async def test_a_lab_leads_to_its_neighbours(visitor: Visitor) -> None:
    first, second = (await visitor.http.get("/labs/split")).text, (await visitor.http.get("/labs/next")).text
    assert 'href="/labs/next" rel="next"' in first
    assert 'rel="prev"' not in first
    assert 'href="/labs/split" rel="prev"' in second
    assert 'rel="next"' not in second


async def test_hints_open_one_by_one_without_scripts(visitor: Visitor) -> None:
    closed = (await visitor.http.get("/labs/split")).text
    assert "Which label tells" not in closed
    answer = await visitor.post("/labs/split/tasks/dark/hints", fragment=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/labs/split#hints-dark")
    opened = (await visitor.http.get("/labs/split")).text
    assert "Which label tells" in opened
    assert "for host <code>web</code>" not in opened
    fragment = await visitor.post("/labs/split/tasks/dark/hints")
    assert fragment.text.startswith('<div class="hints" id="hints-dark">')
    assert "for host <code>web</code>" in fragment.text


async def test_an_explanation_comes_with_the_right_answer_only(visitor: Visitor) -> None:
    wrong = await visitor.post(f"/labs/split/quiz/{WHY}", choice="0")
    assert "Not quite" in wrong.text
    assert "counts requests" not in wrong.text
    right = await visitor.post(f"/labs/split/quiz/{WHY}", choice="1")
    assert "counts requests, not pods" in right.text
    assert "counts requests, not pods" in (await visitor.http.get("/labs/split")).text


async def test_several_right_choices_must_all_be_ticked(visitor: Visitor) -> None:
    path = "/labs/split/quiz/what-does-a-virtualservice-need"
    assert "Not quite" in (await visitor.post(path, choice="0")).text
    assert "Not quite" in (await visitor.post(path)).text
    assert "Right." in (await visitor.post(path, choice=["0", "1"])).text


@pytest.mark.parametrize("choice", ["7", "-1", "x", "99999999999999999999"])
async def test_choices_that_are_not_there(visitor: Visitor, choice: str) -> None:
    answer = await visitor.post(f"/labs/split/quiz/{WHY}", choice=choice)
    assert answer.status_code == 422
    assert "choice" in answer.text


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/nothing", "The address may be mistyped"),
        ("/labs/nope", "There is no lab called &#39;nope&#39;. The course has: split, next."),
        ("/labs/%3Cscript%3E", "&#39;&lt;script&gt;&#39;"),
        ("/static/dist/../app.py", "The address may be mistyped"),
        ("/static/dist/%2e%2e/%2e%2e/app.py", "The address may be mistyped"),
    ],
)
async def test_what_is_not_there_is_said_with_a_way_back(visitor: Visitor, path: str, words: str) -> None:
    answer = await visitor.http.get(path)
    assert answer.status_code == 404
    assert words in answer.text
    assert "Back to the course" in answer.text


async def test_posts_to_what_is_not_there(visitor: Visitor) -> None:
    for path in ("/labs/split/tasks/nope/hints", "/labs/split/quiz/nope", "/labs/nope/check"):
        answer = await visitor.post(path)
        assert answer.status_code == 404
        assert "nope" in answer.text


async def test_a_crash_is_a_page_with_a_reference_and_no_traceback(
    settings: Settings, judge: FakeJudge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> dict[str, LabProgress]:
        raise RuntimeError("the disk is on fire")

    async with entered(create_app(settings, judge=judge)) as visitor:
        monkeypatch.setattr("meshdojo.web.progress.Progress.course", broken)
        with caplog.at_level(logging.ERROR):
            answer = await visitor.http.get("/")
    assert answer.status_code == 500
    assert "on fire" not in answer.text
    assert "Traceback" not in answer.text
    reference = answer.text.split("Reference <code>", 1)[1].split("</code>", 1)[0]
    assert f"reference {reference}: GET /" in caplog.text
    assert "the disk is on fire" in caplog.text


async def test_assets_may_be_kept_and_pages_may_not(visitor: Visitor) -> None:
    page = await visitor.http.get("/")
    assert page.headers["cache-control"] == "no-store"
    style = page.text.split('rel="stylesheet" href="', 1)[1].split('"', 1)[0]
    assert "immutable" in (await visitor.http.get(style)).headers["cache-control"]


async def test_health_is_for_everybody(visitor: Visitor) -> None:
    visitor.http.cookies.clear()
    assert (await visitor.http.get("/healthz")).text == "ok\n"
