"""The course map."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from meshdojo.web.pages.site import CurrentSite
from meshdojo.web.security import CurrentSession
from meshdojo.web.views import course_map, next_up

router = APIRouter(include_in_schema=False)


@router.get("/", response_class=HTMLResponse)
async def course(request: Request, site: CurrentSite, session: CurrentSession) -> HTMLResponse:
    """All chapters, how far the learner is, and what to do next."""
    rows = course_map(site.library.chapters(), await site.progress.course(session.learner))
    return site.page(
        request,
        "course.html",
        rows=rows,
        next=next_up(rows),
        broken=site.library.broken(),
        labs_directory=site.library.directory,
        stream="/live",
    )
