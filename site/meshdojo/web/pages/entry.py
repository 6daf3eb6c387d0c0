"""The door: where somebody without a session ends up, and may show the token."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response

from meshdojo.web.pages.site import CurrentSite

router = APIRouter(include_in_schema=False)


@router.get("/enter")
async def door(request: Request, site: CurrentSite) -> Response:
    """Says how to get in; 403, because whatever was asked for was not given."""
    return site.page(request, "enter.html", 403, wrong="token" in request.query_params)


@router.post("/enter")
async def enter(request: Request, site: CurrentSite, token: Annotated[str, Form(max_length=2000)]) -> Response:
    """Take the token, alone or inside the whole address, for a session. There is no session yet: so no CSRF token."""
    given = token.strip()
    if "?" in given:
        given = parse_qs(urlsplit(given).query).get("token", [""])[0]
    if not site.sessions.is_token(given):
        return site.page(request, "enter.html", 403, wrong=True)
    response = RedirectResponse("/", 303)
    await site.sessions.start(response, agent=request.headers.get("user-agent", ""))
    return response


@router.get("/healthz")
async def health() -> PlainTextResponse:
    """For whoever waits for the site to answer."""
    return PlainTextResponse("ok\n")
