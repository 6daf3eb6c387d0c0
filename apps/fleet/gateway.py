"""api-gateway: one answer about the fleet, put together from what position-tracker and staff-service say."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fleet.identity import Identity
from fleet.service import application, failed, json_response, run
from fleet.upstream import Answer, Upstream


def build(identity: Identity, positions: Upstream, staff: Upstream) -> Starlette:
    async def ask(request: Request, suffix: str = "") -> tuple[Answer, Answer]:
        return await asyncio.gather(
            positions.get(f"/positions{suffix}", request.headers), staff.get(f"/staff{suffix}", request.headers)
        )

    async def vehicles(request: Request) -> Response:
        answers = await ask(request)
        if not all(answer.ok for answer in answers):
            return failed(identity, answers)
        return json_response(identity.answer(vehicles=_merge(*answers), upstreams=[a.hop() for a in answers]))

    async def vehicle(request: Request) -> Response:
        name = request.path_params["vehicle"]
        where, who = answers = await ask(request, f"/{name}")
        if where.status == 404:
            return json_response(identity.answer(error=f"no such vehicle: {name}"), 404)
        if not all(answer.ok for answer in answers):
            return failed(identity, answers, vehicle=name)
        found = {"name": name, "position": where.body["position"], "driver": who.body["driver"]}
        return json_response(identity.answer(vehicle=found, upstreams=[a.hop() for a in answers]))

    routes = [Route("/api/vehicles", vehicles), Route("/api/vehicles/{vehicle}", vehicle)]
    return application(identity, routes, [positions, staff])


def _merge(where: Answer, who: Answer) -> list[dict[str, Any]]:
    drivers = who.body["drivers"]
    return [
        {"name": name, "position": position, "driver": drivers.get(name)}
        for name, position in where.body["positions"].items()
    ]


def main() -> None:
    identity = Identity.from_environment("api-gateway")
    positions = Upstream("position-tracker", os.environ.get("POSITIONS_URL", "http://position-tracker"))
    staff = Upstream("staff-service", os.environ.get("STAFF_URL", "http://staff-service"))
    run(build(identity, positions, staff), identity)


if __name__ == "__main__":
    main()
