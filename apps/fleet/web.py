"""web: what the customers see. Its two versions, original and experimental, cannot be mistaken for each other."""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from fleet.headers import forwarding
from fleet.identity import Identity
from fleet.page import render
from fleet.service import application, failed, json_response, run
from fleet.upstream import Upstream

PASSED_ON = ("vehicles", "vehicle", "degraded", "error")


def build(identity: Identity, api: Upstream) -> Starlette:
    page, short = HTMLResponse(render(identity)), json_response(identity.answer())

    async def front(request: Request) -> Response:
        """The page for browsers; the same answer as ``/version`` for who asks for JSON."""
        return short if "application/json" in request.headers.get("accept", "") else page

    async def forward(request: Request) -> Response:
        """What api-gateway says, with this hop added in front."""
        answer = await api.get(request.url.path, request.headers)
        if answer.status in (0, 502, 503, 504):
            return failed(identity, [answer])
        data = {key: value for key, value in answer.body.items() if key in PASSED_ON}
        if answer.error:
            data["error"] = answer.error
        return json_response(identity.answer(**data, upstreams=[answer.hop()]), answer.status)

    return application(identity, [Route("/", front), Route("/api/{path:path}", forward)], [api])


def main() -> None:
    identity = Identity.from_environment("web")
    url = os.environ.get("API_URL", "http://api-gateway")
    run(build(identity, Upstream("api-gateway", url, forward=forwarding(os.environ))), identity)


if __name__ == "__main__":
    main()
