from __future__ import annotations

import pytest

from meshdojo.istio.messages import Route
from meshdojo.istio.models.virtual_service import HTTPMatchRequest
from meshdojo.istio.translation.routes.matching import catch_all_last, is_catch_all, route_match


def route(match: object = None, name: str = "") -> Route:
    found = Route(name=name)
    found.match.CopyFrom(route_match(None if match is None else HTTPMatchRequest.model_validate(match)))
    return found


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (None, True),
        ({"uri": {"prefix": "/"}}, True),
        ({"uri": {"regex": ".*"}}, True),
        ({"sourceLabels": {"app": "web"}, "port": 80}, True),  # nothing of the request itself
        ({"uri": {"prefix": "/a"}}, False),
        ({"uri": {"regex": "/.*"}}, False),
        ({"headers": {"a": {"exact": "b"}}}, False),
        ({"withoutHeaders": {"a": {}}}, False),
        ({"method": {"exact": "GET"}}, False),
        ({"queryParams": {"a": {"exact": "b"}}}, False),
    ],
)
def test_what_every_request_fits(match: object, expected: bool) -> None:
    assert is_catch_all(route(match)) is expected


def test_routes_that_every_request_fits_come_last_and_the_others_keep_their_order() -> None:
    routes = [route(name="all"), route({"uri": {"prefix": "/b"}}, "b"), route(name="more"), route({"port": 1}, "port")]
    assert [one.name for one in catch_all_last(routes)] == ["b", "all", "more", "port"]
