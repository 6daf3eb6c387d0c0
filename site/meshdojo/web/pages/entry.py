"""The door: where somebody without a session ends up, and may show the token."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response

from meshdojo.web.api.common import address, too_many
from meshdojo.web.pages.site import CurrentSite

router = APIRouter(include_in_schema=False)


@router.get("/enter")
async def door(request: Request, site: CurrentSite) -> Response:
    """Says how to get in; 403, because whatever was asked for was not given."""
    wrong = "token" in request.query_params
    return site.page(request, "enter.html", 403, wrong=wrong, provider=site.settings.provider)


@router.post("/enter")
async def enter(request: Request, site: CurrentSite, token: Annotated[str, Form(max_length=2000)]) -> Response:
    """Take the token, alone or inside the whole address, for a session. There is no session yet: so no CSRF token."""
    given = token.strip()
    if "?" in given:
        given = parse_qs(urlsplit(given).query).get("token", [""])[0]
    origin = address(request)
    if wait := site.limits.tokens.wait(origin):
        raise too_many(wait)
    if not site.sessions.is_token(given):
        site.limits.tokens.take(origin)
        return site.page(request, "enter.html", 403, wrong=True, provider=site.settings.provider)
    response = RedirectResponse("/", 303)
    await site.sessions.start(response, agent=request.headers.get("user-agent", ""))
    return response


@router.get("/healthz")
async def health() -> PlainTextResponse:
    """For whoever waits for the site to answer."""
    return PlainTextResponse("ok\n")
