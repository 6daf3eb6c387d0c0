"""A scripted API server for the HTTP client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.kubeconfig import Access, Fixed

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Call:
    """A request as the server saw it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Server:
    """Answers what it was told to (`answer`), else 404 as text, and remembers every call."""

    calls: list[Call] = field(default_factory=list)
    url: str = ""
    _handlers: dict[tuple[str, str], Handler] = field(default_factory=dict)

    def answer(self, method: str, path: str, body: Any, status: int = 200) -> None:
        """Answer with this JSON."""

        async def handler(request: web.Request) -> web.StreamResponse:
            return web.json_response(body, status=status)

        self.handle(method, path, handler)

    def handle(self, method: str, path: str, handler: Handler) -> None:
        self._handlers[method, path] = handler

    async def serve(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw) if raw else None
        self.calls.append(Call(request.method, request.path, dict(request.query), dict(request.headers), body))
        handler = self._handlers.get((request.method, request.path))
        return await handler(request) if handler else web.Response(status=404, text="404 page not found\n")

    def client(self, **access: Any) -> HTTPClient:
        return HTTPClient(Access(self.url, **{"credential": Fixed("Bearer secret"), **access}))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    scripted = Server()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", scripted.serve)
    async with TestServer(application) as running:
        scripted.url = str(running.make_url("")).rstrip("/")
        yield scripted
