"""The mesh pane: a live picture, one node closely, the traffic switch, and one request hop by hop.

For the owner only: the picture shows the mesh on this machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from meshdojo.errors import UserError
from meshdojo.observation.load import MOST_PER_SECOND, PATH, Wish
from meshdojo.observation.trace import Request
from meshdojo.web.pages.site import CurrentSite, Site
from meshdojo.web.security import OwnerSession, require_csrf

KEEP_ALIVE = 15.0

router = APIRouter(prefix="/mesh", include_in_schema=False)

Header = tuple[Annotated[str, Field(max_length=100)], Annotated[str, Field(max_length=1000)]]
Headers = Annotated[tuple[Header, ...], Field(max_length=10)]
Text = Annotated[str, Field(max_length=500)]


class Traffic(BaseModel):
    """What the traffic switch is set to."""

    on: bool
    rate: Annotated[float, Field(gt=0, le=MOST_PER_SECOND)] = 5
    path: Text = PATH
    to: Text = ""
    headers: Headers = ()


class Tracing(BaseModel):
    """The request to follow."""

    path: Text
    to: Text = ""
    method: Text = "GET"
    headers: Headers = ()


@router.get("/live")
async def live(site: CurrentSite, session: OwnerSession) -> StreamingResponse:
    """The picture, whenever it has changed."""
    return StreamingResponse(
        _events(site), media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


async def _events(site: Site) -> AsyncIterator[bytes]:
    pictures = site.mesh_view.pictures()
    stopped = asyncio.create_task(site.hub.stopped.wait())
    coming = asyncio.ensure_future(anext(pictures))
    try:
        while True:
            await asyncio.wait((coming, stopped), timeout=KEEP_ALIVE, return_when=asyncio.FIRST_COMPLETED)
            if stopped.done():
                return
            if not coming.done():
                yield b": still here\n\n"
                continue
            yield b"event: picture\ndata: " + orjson.dumps(coming.result()) + b"\n\n"
            coming = asyncio.ensure_future(anext(pictures))
    finally:
        stopped.cancel()
        coming.cancel()
        await asyncio.gather(coming, stopped, return_exceptions=True)
        await pictures.aclose()  # type: ignore[attr-defined]


@router.get("/node")
async def node(site: CurrentSite, session: OwnerSession, identity: Annotated[str, Query(alias="id")]) -> dict[str, Any]:
    """One node closely."""
    try:
        return await site.mesh_view.details(identity)
    except UserError as error:
        raise HTTPException(404, str(error)) from error


@router.post("/traffic", dependencies=[Depends(require_csrf)])
async def traffic(site: CurrentSite, session: OwnerSession, wanted: Traffic) -> dict[str, bool]:
    """Turn the traffic switch."""
    try:
        wish = Wish(wanted.rate, wanted.path, wanted.to, wanted.headers) if wanted.on else None
        await site.mesh_view.traffic(wish)
    except UserError as error:
        raise HTTPException(409, str(error)) from error
    return {"on": wanted.on}


@router.post("/trace", dependencies=[Depends(require_csrf)])
async def trace(site: CurrentSite, session: OwnerSession, wanted: Tracing) -> dict[str, Any]:
    """Send one request and say which way it went."""
    try:
        return await site.mesh_view.trace(Request(wanted.path, wanted.to, wanted.method, wanted.headers))
    except UserError as error:
        raise HTTPException(409, str(error)) from error
