"""You: your data, your browsers, your tokens; for admins, everybody with an account; and what the API can do."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from meshdojo.web.markup import inline
from meshdojo.web.pages.site import CurrentSite
from meshdojo.web.security import Admin, CurrentSession, Person, require_csrf

router = APIRouter(include_in_schema=False)


@router.get("/you", response_class=HTMLResponse)
async def you(request: Request, site: CurrentSite, session: Person) -> HTMLResponse:
    """Your data, browsers and tokens."""
    return site.page(
        request,
        "you.html",
        browser_name=browser_name,
        sessions=await site.sessions.all(session.learner),
        tokens=await site.accounts.tokens(session.learner),
        member=await site.members.current(session.learner),
    )


def browser_name(agent: str) -> str:
    """A browser as people call it: 'Firefox on Linux'; what is not known is shown as it calls itself."""
    browsers = {"Edg/": "Edge", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
    systems = {"Android": "Android", "iPhone": "iPhone", "Windows": "Windows", "Mac OS": "macOS", "Linux": "Linux"}
    browser = next((name for mark, name in browsers.items() if mark in agent), "")
    system = next((name for mark, name in systems.items() if mark in agent), "")
    return f"{browser} on {system}" if browser and system else agent or "A program"


@router.get("/people", response_class=HTMLResponse)
async def people(request: Request, site: CurrentSite, session: Admin) -> HTMLResponse:
    """Everybody with an account, and their roles."""
    return site.page(request, "people.html", people=await site.accounts.people())


@router.post("/sign-out", dependencies=[Depends(require_csrf)])
async def sign_out(site: CurrentSite, session: CurrentSession) -> Response:
    """End this session."""
    await site.sessions.revoke(session.learner, session.id)
    response = RedirectResponse("/enter", 303)
    site.sessions.end(response)
    return response


@router.get("/reference", response_class=HTMLResponse)
async def reference(request: Request, site: CurrentSite, session: CurrentSession) -> HTMLResponse:
    """What the API can do, from its own description."""
    described = request.app.openapi()
    groups: dict[str, list[dict[str, str]]] = {}
    for path, methods in described["paths"].items():
        for method, what in methods.items():
            entry = {"path": path, "method": method.upper(), "text": what.get("description", "")}
            groups.setdefault(what.get("tags", ["other"])[0], []).append(entry)
    return site.page(
        request, "reference.html", groups=groups, about=inline(" ".join(described["info"]["description"].split()))
    )
