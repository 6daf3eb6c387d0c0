"""Search over the course, and its glossary."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from meshdojo.web.pages.lab import WantsFragment
from meshdojo.web.pages.site import CurrentSite
from meshdojo.web.search import entries, search
from meshdojo.web.security import CurrentSession

router = APIRouter(include_in_schema=False)


@router.get("/search", response_class=HTMLResponse)
async def find(
    request: Request,
    site: CurrentSite,
    session: CurrentSession,
    q: Annotated[str, Query(max_length=200)] = "",
    x_fragment: WantsFragment = False,
) -> HTMLResponse:
    """What the course says about these words."""
    hits = search(entries(site.library.chapters(), site.library.glossary()), q)
    template = "parts/hits.html" if x_fragment else "search.html"
    return site.page(request, template, query=q, hits=hits)


@router.get("/glossary", response_class=HTMLResponse)
async def glossary(request: Request, site: CurrentSite, session: CurrentSession) -> HTMLResponse:
    """The words of the course."""
    return site.page(request, "glossary.html", terms=site.library.glossary())
