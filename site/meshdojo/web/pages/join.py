"""Joining a workshop in the browser: a code and a name, and then the way to one's own meshdojo."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from meshdojo.web.api.common import address
from meshdojo.web.api.desk import join_by_code
from meshdojo.web.pages.site import CurrentSite
from meshdojo.web.security import Person
from meshdojo.web.sessions import Session

router = APIRouter(include_in_schema=False)


@router.get("/join", response_class=HTMLResponse)
@router.get("/join/{code}", response_class=HTMLResponse)
async def door(request: Request, site: CurrentSite, code: str = "") -> HTMLResponse:
    """The form."""
    workshop = await site.workshops.by_code(code) if code else None
    return _form(request, site, code[:40], "", "", workshop.title if workshop else "")


def _form(
    request: Request, site: CurrentSite, code: str, name: str, wrong: str, title: str, status: int = 200
) -> HTMLResponse:
    return site.page(request, "join.html", status, code=code, name=name, wrong=wrong, title=title)


@router.post("/join")
async def join(
    request: Request,
    site: CurrentSite,
    code: Annotated[str, Form(max_length=40)] = "",
    name: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Become a member. Somebody who is signed in stays who they are; anybody else gets a session."""
    session = request.state.session
    known = session.learner if isinstance(session, Session) and not session.owner else None
    try:
        joined = await join_by_code(site, address(request), code, name.replace("\0", ""), known)
    except HTTPException as error:
        return _form(request, site, code, name, str(error.detail), "", error.status_code)
    response = RedirectResponse("/seat", 303)
    if known is None:
        await site.sessions.start(response, joined.member.learner, request.headers.get("user-agent", ""))
    return response


@router.get("/seat", response_class=HTMLResponse)
async def seat(request: Request, site: CurrentSite, session: Person) -> HTMLResponse:
    """You are in: how your own meshdojo joins, and how you stand."""
    member = await site.members.current(session.learner)
    workshop = await site.workshops.get(member.workshop) if member else None
    if member is None or workshop is None:
        raise HTTPException(404, "You are in no workshop. Join one with its code.")
    return site.page(
        request,
        "seat.html",
        base_url=site.settings.url,
        member=member,
        workshop=workshop,
        pairing=await site.accounts.pair(session.learner),
        chapters=[chapter for name in workshop.labs if (chapter := site.chapter(name))],
        progress=await site.progress.course(session.learner),
    )
