"""staff-service: who drives which vehicle."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fleet.identity import Identity
from fleet.service import application, json_response, run

DRIVERS = {
    "city-truck": "Amara Osei",
    "harbour-van": "Jonas Lindqvist",
    "hill-lorry": "Mei Tanaka",
    "market-bike": "Rafael Duarte",
}


def build(identity: Identity) -> Starlette:
    async def staff(_request: Request) -> Response:
        return json_response(identity.answer(drivers=DRIVERS))

    async def driver(request: Request) -> Response:
        vehicle = request.path_params["vehicle"]
        if vehicle not in DRIVERS:
            return json_response(identity.answer(error=f"nobody drives {vehicle}"), 404)
        return json_response(identity.answer(vehicle=vehicle, driver=DRIVERS[vehicle]))

    return application(identity, [Route("/staff", staff), Route("/staff/{vehicle}", driver)])


def main() -> None:
    identity = Identity.from_environment("staff-service")
    run(build(identity), identity)


if __name__ == "__main__":
    main()
