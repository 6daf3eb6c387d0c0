"""Who gets in, and who does not."""

from __future__ import annotations

import logging
import stat
from dataclasses import replace
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from tests.web.samples import TOKEN, FakeJudge, Visitor, entered, running

from meshdojo.web.app import create_app
from meshdojo.web.security import PUBLIC, require_csrf
from meshdojo.web.sessions import signing_key
from meshdojo.web.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def app(settings: Settings, judge: FakeJudge) -> FastAPI:
    return create_app(settings, judge=judge)


async def test_the_printed_address_becomes_a_cookie_and_leaves_the_address_bar(app: FastAPI) -> None:
    async with running(app) as visitor:
        answer = await visitor.http.get("/labs/split", params={"token": TOKEN, "x": "1"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/labs/split?x=1")
        cookie = next(iter(SimpleCookie(answer.headers["set-cookie"]).values()))
        assert cookie["httponly"] is True
        assert cookie["samesite"] == "strict"
        assert TOKEN not in cookie.value
        assert (await visitor.http.get("/labs/split")).status_code == 200


async def test_a_token_never_redirects_to_another_site(app: FastAPI) -> None:
    async with running(app) as visitor:
        answer = await visitor.http.get(f"{visitor.http.base_url}//evil.example/", params={"token": TOKEN})
        assert answer.headers["location"] == "/evil.example/"


@pytest.mark.parametrize("path", ["/", "/labs/split", "/live", "/diagram", "/anything", "/?token=wrong-token-here"])
async def test_without_the_token_there_is_only_the_door(app: FastAPI, path: str) -> None:
    async with running(app) as visitor:
        answer = await visitor.http.get(path)
        assert answer.status_code == 403
        assert "This dojo has an owner" in answer.text
        assert "Split the traffic" not in answer.text
        assert "set-cookie" not in answer.headers


async def test_the_door_takes_the_token_or_the_whole_address(app: FastAPI, settings: Settings) -> None:
    async with running(app) as visitor:
        refused = await visitor.http.post("/enter", data={"token": "guess"})
        assert (refused.status_code, "not the token" in refused.text) == (403, True)
        for given in (TOKEN, f"  {settings.entry_url}\n"):
            visitor.http.cookies.clear()
            answer = await visitor.http.post("/enter", data={"token": given}, follow_redirects=True)
            assert answer.status_code == 200
            assert "Istio, by doing" in answer.text


async def test_a_forged_cookie_is_none(app: FastAPI, elsewhere: Settings, judge: FakeJudge) -> None:
    async with entered(create_app(elsewhere, judge=judge)) as other:
        value = next(iter(other.http.cookies.jar)).value or ""
    async with running(app) as visitor:
        name = app.state.sessions.cookie
        for cookie in (value, "WzEsImEiXQ.a.b", "", '"\\"'):
            answer = await visitor.http.get("/", headers={"Cookie": f"{name}={cookie}"})
            assert answer.status_code == 403


async def test_a_restart_keeps_the_session_although_the_token_changes(settings: Settings, judge: FakeJudge) -> None:
    async with entered(create_app(settings, judge=judge)) as visitor:
        cookies = visitor.http.cookies
    async with running(create_app(replace(settings, token="another-token-altogether"), judge=judge)) as visitor:
        visitor.http.cookies = cookies
        assert (await visitor.http.get("/")).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8484", "127.0.0.1.evil.example", "", "[::2]:80"])
async def test_other_names_of_this_machine_are_refused(visitor: Visitor, host: str) -> None:
    answer = await visitor.http.get("/", headers={"Host": host})
    assert answer.status_code == 421
    assert "127.0.0.1" in answer.text


@pytest.mark.parametrize("host", ["localhost:1234", "127.0.0.1", "[::1]:80", "LOCALHOST"])
async def test_the_names_of_loopback_are_ours(visitor: Visitor, host: str) -> None:
    assert (await visitor.http.get("/", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_posts_from_other_sites_are_refused(visitor: Visitor, headers: dict[str, str]) -> None:
    answer = await visitor.http.post("/labs/split/check", data={"csrf": visitor.csrf}, headers=headers)
    assert answer.status_code == 403
    assert "another site" in answer.text


async def test_every_post_wants_the_csrf_token(visitor: Visitor, app: FastAPI, judge: FakeJudge) -> None:
    routes = [route for route in _routes(app) if "POST" in (route.methods or ())]
    assert len(routes) > 10
    for route in routes:
        if route.path in ("/enter", "/join"):  # there is no session yet
            continue
        assert any(dependency.call is require_csrf for dependency in route.dependant.dependencies), route.path
        path = route.path.format(lab="split", task="dark", question="any", shell="any", message=1, number=1)
        for form in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "é"}):
            assert (await visitor.http.post(path, data=form)).status_code == 403, path
    assert judge.rechecks == 0


def _routes(app: FastAPI) -> list[APIRoute]:
    from meshdojo.web.app import PAGES

    return [route for page in PAGES for route in page.router.routes if isinstance(route, APIRoute)]


async def test_no_page_allows_inline_script_and_only_the_diagram_inline_style(visitor: Visitor) -> None:
    for path in ("/", "/labs/split", "/nothing", "/healthz"):
        policy = (await visitor.http.get(path)).headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
    policy = (await visitor.http.get("/diagram")).headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "connect-src 'none'" in policy


async def test_pages_carry_no_inline_script_style_or_handler(visitor: Visitor) -> None:
    for path in ("/", "/labs/split", "/nothing", "/diagram"):
        text = (await visitor.http.get(path)).text
        assert "<style" not in text
        assert " style=" not in text
        assert "<script>" not in text
        assert " onclick" not in text


async def test_no_log_has_the_token_or_the_session(
    settings: Settings, judge: FakeJudge, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with entered(create_app(settings, judge=judge)) as visitor:
        session = next(iter(visitor.http.cookies.jar)).value or "?"
        await visitor.http.get("/nothing")
    # The client's own log is not ours.
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert TOKEN not in "\n".join(ours)
    assert session not in "\n".join(ours)
    assert TOKEN not in repr(settings)


def test_the_signing_key_is_private_and_made_once(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "state"
    key = signing_key(directory)
    assert len(key) == 32
    assert signing_key(directory) == key
    assert stat.S_IMODE((directory / "site.key").stat().st_mode) == 0o600
    assert [path.name for path in directory.iterdir()] == ["site.key"]


def test_what_is_public_gives_nothing_away() -> None:
    assert PUBLIC == ("/static/", "/healthz", "/enter", "/join", "/sign-in", "/favicon.ico")
