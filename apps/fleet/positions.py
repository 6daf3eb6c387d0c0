"""position-tracker: where each vehicle of the fleet is now.

The vehicles drive in circles, and where one is follows from the clock alone: every pod of the service tells the same
story, whatever was restarted.

``/history`` is the expensive question that every real service has: it takes half a second, however idle the pod is.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fleet.identity import Identity
from fleet.service import application, json_response, run


@dataclass(frozen=True)
class Round:
    """The round that a vehicle drives: a circle (degrees) that takes `seconds`."""

    latitude: float
    longitude: float
    radius: float
    seconds: float

    def at(self, when: float) -> dict[str, float]:
        angle = 2 * math.pi * (when % self.seconds) / self.seconds
        return {
            "latitude": round(self.latitude + self.radius * math.sin(angle), 5),
            "longitude": round(self.longitude + self.radius * math.cos(angle), 5),
        }


ROUNDS = {
    "city-truck": Round(53.381, -1.470, 0.020, 600),
    "harbour-van": Round(53.401, -2.990, 0.015, 420),
    "hill-lorry": Round(53.349, -1.770, 0.045, 1500),
    "market-bike": Round(53.480, -2.242, 0.008, 240),
}


HISTORY_SECONDS = 0.5
HISTORY_STEP = 60


def build(identity: Identity) -> Starlette:
    async def history(_request: Request) -> Response:
        """Where each vehicle was at the last ten full minutes."""
        await asyncio.sleep(HISTORY_SECONDS)
        now = time.time() // HISTORY_STEP * HISTORY_STEP
        times = [now - HISTORY_STEP * number for number in range(10)]
        return json_response(identity.answer(history={name: [r.at(t) for t in times] for name, r in ROUNDS.items()}))

    async def positions(_request: Request) -> Response:
        now = time.time()
        return json_response(identity.answer(positions={name: round_.at(now) for name, round_ in ROUNDS.items()}))

    async def position(request: Request) -> Response:
        vehicle = request.path_params["vehicle"]
        if vehicle not in ROUNDS:
            return json_response(identity.answer(error=f"no such vehicle: {vehicle}"), 404)
        return json_response(identity.answer(vehicle=vehicle, position=ROUNDS[vehicle].at(time.time())))

    routes = [
        Route("/positions", positions),
        Route("/positions/{vehicle}", position),
        Route("/history", history),
    ]
    return application(identity, routes)


def main() -> None:
    identity = Identity.from_environment("position-tracker")
    run(build(identity), identity)


if __name__ == "__main__":
    main()
