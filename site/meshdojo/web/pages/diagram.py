"""The empty page in which a diagram is drawn: a frame of its own, so that only there inline styles are allowed."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from meshdojo.web.pages.site import CurrentSite
from meshdojo.web.security import DIAGRAM_PATH

router = APIRouter(include_in_schema=False)


@router.get(DIAGRAM_PATH, response_class=HTMLResponse)
async def diagram(request: Request, site: CurrentSite) -> HTMLResponse:
    """The frame; the page around it posts the source and the colours."""
    return site.page(request, "diagram.html")
