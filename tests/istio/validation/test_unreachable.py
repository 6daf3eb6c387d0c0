from __future__ import annotations

from typing import Any

import pytest

from meshdojo.istio.models.virtual_service import HTTPRoute
from meshdojo.istio.validation.unreachable import warnings


def route(*matches: Any, **fields: Any) -> HTTPRoute:
    return HTTPRoute.model_validate({"match": list(matches), **fields}, by_alias=True)


def prefix(text: str, **conditions: Any) -> dict[str, Any]:
    return {"uri": {"prefix": text}, **conditions}


@pytest.mark.parametrize(
    "routes",
    [
        [route(prefix("/a")), route(prefix("/b")), route()],
        [route(prefix("/ab")), route(prefix("/a"))],
        [route(prefix("/a", headers={"x": {"exact": "1"}})), route(prefix("/a"))],
        [route(prefix("/", port=80)), route(prefix("/a", port=81))],
        [route({"uri": {"exact": "/a"}}), route({"uri": {"exact": "/a/b"}})],
        [route(prefix("/", method={"exact": "GET"})), route(prefix("/a", method={"exact": "PUT"}))],
    ],
)
def test_all_can_be_reached(routes: list[HTTPRoute]) -> None:
    assert list(warnings(routes)) == []


def test_a_narrower_route_after_a_wider_one() -> None:
    headers = {"x": {"exact": "1"}}
    routes = [route(prefix("/", headers=headers)), route(prefix("/a", headers={**headers, "y": {}}), name="second")]
    assert list(warnings(routes)) == [
        'virtualService rule "second" match #0 of prefix /a is not used '
        "(duplicate/overlapping match in rule #0 of prefix / on #0)"
    ]
