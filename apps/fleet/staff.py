"""staff-service: who drives which vehicle.

A pod of it can be made risky: FAILURE_RATE says which share of the requests it answers with 500. Its health check stays
good all the same, as with most programs that are broken inside, so that Kubernetes goes on sending it requests.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction

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


def failure_rate(text: str) -> Fraction:
    """A share from 0 to 1, such as `1`, `0.25` or `1/3`; '' is 0. Raises ValueError."""
    try:
        rate = Fraction(text or "0")
    except (ValueError, ZeroDivisionError):
        rate = Fraction(-1)
    if not 0 <= rate <= 1:
        raise ValueError(f"FAILURE_RATE {text!r}: expected a share from 0 (never) to 1 (always)")
    return rate


def mishaps(rate: Fraction) -> Iterator[bool]:
    """Whether the next request fails: evenly spread, not by chance, so that what is seen can be foretold."""
    due = Fraction(0)
    while True:
        due += rate
        if fails := due >= 1:
            due -= 1
        yield fails


def build(identity: Identity, rate: Fraction = Fraction(0)) -> Starlette:
    risk = mishaps(rate)

    def broken() -> Response | None:
        return json_response(identity.answer(error="the roster cannot be read"), 500) if next(risk) else None

    async def staff(_request: Request) -> Response:
        return broken() or json_response(identity.answer(drivers=DRIVERS))

    async def driver(request: Request) -> Response:
        if mishap := broken():
            return mishap
        vehicle = request.path_params["vehicle"]
        if vehicle not in DRIVERS:
            return json_response(identity.answer(error=f"nobody drives {vehicle}"), 404)
        return json_response(identity.answer(vehicle=vehicle, driver=DRIVERS[vehicle]))

    return application(identity, [Route("/staff", staff), Route("/staff/{vehicle}", driver)])


def main() -> None:
    identity = Identity.from_environment("staff-service")
    run(build(identity, failure_rate(os.environ.get("FAILURE_RATE", ""))), identity)


if __name__ == "__main__":
    main()
