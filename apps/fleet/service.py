"""What the services have in common: health, a quick answer to "who are you", and the way they start and stop."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from fleet import arrivals
from fleet.identity import Identity
from fleet.upstream import Answer, Upstream

PORT = 8080
# Longer than a proxy keeps an idle connection (Envoy: an hour). A server that closes first does so now and then in the
# very moment in which the proxy sends the next request: a 503 with the flag UC, and nobody's fault but its own.
KEEP_ALIVE_SECONDS = 2 * 3600


def json_response(body: Mapping[str, Any], status: int = 200) -> Response:
    """A JSON answer that ends with a newline, for readers at a terminal."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text + "\n", status, media_type="application/json")


def failed(identity: Identity, answers: Sequence[Answer], **data: object) -> Response:
    """502 Bad Gateway: a service that this one needs did not answer well."""
    broken = next(answer for answer in answers if not answer.ok)
    error = f"{broken.service}: {broken.error or f'status {broken.status}'}"
    return json_response(identity.answer(error=error, **data, upstreams=[answer.hop() for answer in answers]), 502)


def application(identity: Identity, routes: Sequence[BaseRoute], upstreams: Sequence[Upstream] = ()) -> Starlette:
    """The ASGI application of a service: its routes, ``/healthz``, ``/version``, ``/headers`` and ``/requests``."""
    counted = arrivals.Arrivals()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        for upstream in upstreams:
            await upstream.close()

    async def not_found(request: Request, _error: Exception) -> Response:
        return json_response(identity.answer(error=f"no such page: {request.url.path}"), 404)

    async def headers(request: Request) -> Response:
        return json_response(identity.answer(headers=dict(request.headers)))

    async def requests(_request: Request) -> Response:
        return json_response(identity.answer(**counted.report()))

    # A ready-made response is an ASGI application too: the two most frequent requests cost next to nothing.
    common = [
        Route("/healthz", PlainTextResponse("ok\n")),
        Route("/version", json_response(identity.answer())),
        # What the sidecars add on the way (who called, which route) is seen here, and nowhere else.
        Route("/headers", headers),
        Route("/requests", requests),
    ]
    return Starlette(
        routes=[*common, *routes],
        lifespan=lifespan,
        exception_handlers={404: not_found},
        middleware=[Middleware(arrivals.Middleware, arrivals=counted)],
    )


def run(app: Starlette, identity: Identity) -> None:
    """Serve until SIGTERM; requests under way are finished first. The event loop is asyncio's (never uvloop)."""
    port = int(os.environ.get("PORT") or PORT)
    print(f"{identity.service} {identity.version}: listening on port {port}", flush=True)
    uvicorn.run(
        app,
        host="0.0.0.0",
        port=port,
        loop="asyncio",
        http="httptools",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=5,
    )
