"""The owner of this machine takes part in a workshop elsewhere: join, decide, leave."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from meshdojo.web.memberships import JoinError, Membership, invitation
from meshdojo.web.pages.site import CurrentSite
from meshdojo.web.security import OwnerSession, require_csrf

router = APIRouter(prefix="/membership", include_in_schema=False)
NOTHING: dict[str, object] = {"link": "", "code": "", "name": "", "screen": False}


@router.get("", response_class=HTMLResponse)
async def membership(request: Request, site: CurrentSite, session: OwnerSession) -> HTMLResponse:
    """The workshop that goes on, or the form to join one."""
    return site.page(
        request, "membership.html", wrong="", given=NOTHING, stream="/live", attendance=await site.reporter.now()
    )


@router.post("/join", dependencies=[Depends(require_csrf)])
async def join(
    request: Request,
    site: CurrentSite,
    session: OwnerSession,
    link: Annotated[str, Form(max_length=500)] = "",
    code: Annotated[str, Form(max_length=40)] = "",
    name: Annotated[str, Form(max_length=200)] = "",
    screen: Annotated[bool, Form()] = False,
) -> Response:
    """Join."""
    try:
        await site.reporter.memberships.join(invitation(link, code), name, screen)
    except JoinError as error:
        given = {"link": link, "code": code, "name": name, "screen": screen}
        return site.page(request, "membership.html", 409, wrong=str(error), given=given, stream="/live")
    return RedirectResponse("/membership", 303)


async def _current(site: CurrentSite, session: OwnerSession) -> Membership:
    found = await site.reporter.memberships.current()
    if found is None:
        raise HTTPException(409, "You are in no workshop.")
    return found


Current = Annotated[Membership, Depends(_current)]


def _back(request: Request) -> Response:
    """To where the form was; a script needs no answer, as the page's stream brings what has changed."""
    if request.headers.get("x-fragment"):
        return Response(status_code=204)
    return RedirectResponse("/membership", 303)


@router.post("/leave", dependencies=[Depends(require_csrf)])
async def leave(site: CurrentSite, current: Current, forget: Annotated[bool, Form()] = False) -> Response:
    """Leave; with `forget` the workshop's site is asked to delete what it keeps of us."""
    if forget:
        async with site.reporter.client(current) as http:
            await http.delete("/api/v1/desk")
    await site.reporter.memberships.leave(current.id)
    return RedirectResponse("/membership", 303)


@router.post("/screen", dependencies=[Depends(require_csrf)])
async def screen(
    request: Request, site: CurrentSite, current: Current, share: Annotated[bool, Form()] = False
) -> Response:
    """Allow the terminal to be looked at, or end it at once."""
    await site.reporter.memberships.share_screen(current.id, share=share)
    return _back(request)


@router.post("/read/{message}", dependencies=[Depends(require_csrf)])
async def put_away(
    request: Request, site: CurrentSite, current: Current, message: Annotated[int, Path(ge=0, le=2**31 - 1)]
) -> Response:
    """Put messages away."""
    await site.reporter.memberships.put_away(current.id, message)
    return _back(request)


@router.post("/requests/{number}", dependencies=[Depends(require_csrf)])
async def decide(
    request: Request,
    site: CurrentSite,
    current: Current,
    number: Annotated[int, Path(ge=0, le=2**31 - 1)],
    accept: Annotated[bool, Form()] = False,
) -> Response:
    """Agree to what the instructor asks for, or not."""
    site.reporter.answer(number, accept=accept)
    return _back(request)
