"""api-gateway: one answer about the fleet, put together from what position-tracker and staff-service say.

Without STAFF_OPTIONAL it needs both. With it, a fleet whose drivers nobody can name is better than no fleet at all: the
answer then says under ``degraded`` what is missing from it.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fleet.headers import forwarding
from fleet.identity import Identity
from fleet.service import application, failed, json_response, run
from fleet.upstream import Answer, Upstream


def build(identity: Identity, positions: Upstream, staff: Upstream, staff_optional: bool = False) -> Starlette:
    async def ask(request: Request, suffix: str = "") -> tuple[Answer, Answer]:
        return await asyncio.gather(
            positions.get(f"/positions{suffix}", request.headers), staff.get(f"/staff{suffix}", request.headers)
        )

    def enough(where: Answer, who: Answer) -> bool:
        return where.ok and (who.ok or staff_optional)

    async def vehicles(request: Request) -> Response:
        where, who = answers = await ask(request)
        if not enough(where, who):
            return failed(identity, answers)
        hops = [answer.hop() for answer in answers]
        return json_response(identity.answer(vehicles=_merge(where, who), **_missing(who), upstreams=hops))

    async def vehicle(request: Request) -> Response:
        name = request.path_params["vehicle"]
        where, who = answers = await ask(request, f"/{name}")
        if where.status == 404:
            return json_response(identity.answer(error=f"no such vehicle: {name}"), 404)
        if not enough(where, who):
            return failed(identity, answers, vehicle=name)
        found = {"name": name, "position": where.body["position"], "driver": who.body.get("driver")}
        hops = [answer.hop() for answer in answers]
        return json_response(identity.answer(vehicle=found, **_missing(who), upstreams=hops))

    routes = [Route("/api/vehicles", vehicles), Route("/api/vehicles/{vehicle}", vehicle)]
    return application(identity, routes, [positions, staff])


def _merge(where: Answer, who: Answer) -> list[dict[str, Any]]:
    drivers = who.body.get("drivers", {})
    return [
        {"name": name, "position": position, "driver": drivers.get(name)}
        for name, position in where.body["positions"].items()
    ]


def _missing(who: Answer) -> dict[str, list[str]]:
    return {} if who.ok else {"degraded": [who.service]}


def main() -> None:
    identity = Identity.from_environment("api-gateway")
    forward = forwarding(os.environ)
    positions_url = os.environ.get("POSITIONS_URL", "http://position-tracker")
    staff_url = os.environ.get("STAFF_URL", "http://staff-service")
    positions = Upstream("position-tracker", positions_url, forward=forward)
    staff = Upstream("staff-service", staff_url, forward=forward)
    staff_optional = os.environ.get("STAFF_OPTIONAL", "").lower() in ("1", "true", "yes", "on")
    run(build(identity, positions, staff, staff_optional), identity)


if __name__ == "__main__":
    main()
