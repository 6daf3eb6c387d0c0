"""Conditions of a VirtualService's HTTP route, as Envoy's RouteMatch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshdojo.istio.messages import (
    HeaderMatcher,
    QueryParameterMatcher,
    RegexMatcher,
    RouteMatch,
    StringMatcher,
)
from meshdojo.istio.models.virtual_service import HTTPMatchRequest, StringMatch

PSEUDO_HEADERS = (("method", ":method"), ("authority", ":authority"), ("scheme", ":scheme"))


def route_match(match: HTTPMatchRequest | None) -> Any:
    """None, and a match without a uri, fit every path."""
    if match is None:
        return RouteMatch(prefix="/")
    found = RouteMatch()
    _path(found, match)
    found.headers.extend(header(name, wanted) for name, wanted in sorted(match.headers.items()))
    found.headers.extend(without_header(name, wanted) for name, wanted in sorted(match.without_headers.items()))
    for field, name in PSEUDO_HEADERS:
        wanted = getattr(match, field)
        if wanted is not None:
            found.headers.append(header(name, wanted))
    found.query_parameters.extend(_query(name, wanted) for name, wanted in sorted(match.query_params.items()))
    return found


def is_catch_all(route: Any) -> bool:
    """Whether every request fits this Envoy route, so that later ones are never reached.

    Source: IsCatchAllRoute in istio/pilot/pkg/networking/core/route/route.go.
    """
    match = route.match
    if match.headers or match.query_parameters:
        return False
    return bool(match.prefix == "/" or match.safe_regex.regex == ".*")


def catch_all_last(routes: Iterable[Any]) -> list[Any]:
    """Envoy routes in their order, but for those that every request fits: they come last.

    Source: SortVHostRoutes, there.
    """
    return sorted(routes, key=is_catch_all)


def _path(found: Any, match: HTTPMatchRequest) -> None:
    uri = match.uri
    if uri is None or (uri.exact is None and uri.prefix is None and uri.regex is None):
        found.prefix = "/"
    elif uri.exact is not None:
        found.path = uri.exact
    elif uri.prefix is not None:
        found.prefix = uri.prefix
    else:
        found.safe_regex.CopyFrom(RegexMatcher(regex=uri.regex))
    found.case_sensitive.value = not match.ignore_uri_case


def string_match(wanted: StringMatch) -> Any:
    """None for a match that only asks for presence."""
    if wanted.exact is not None:
        return StringMatcher(exact=wanted.exact)
    if wanted.prefix:
        return StringMatcher(prefix=wanted.prefix)
    if wanted.regex is not None and wanted.regex != "*":
        return StringMatcher(safe_regex=RegexMatcher(regex=wanted.regex))
    return None


def header(name: str, wanted: StringMatch) -> Any:
    """Envoy's matcher of one header; a StringMatch without a kind means that the header is there."""
    text = string_match(wanted)
    if text is None:
        return HeaderMatcher(name=name, present_match=True)
    return HeaderMatcher(name=name, string_match=text)


def without_header(name: str, wanted: StringMatch) -> Any:
    """The condition must not hold; a missing header does not fulfil it."""
    found = header(name, wanted)
    found.invert_match = True
    found.treat_missing_header_as_empty = found.HasField("string_match")
    return found


def _query(name: str, wanted: StringMatch) -> Any:
    text = string_match(wanted)
    if text is None:
        return QueryParameterMatcher(name=name, present_match=True)
    return QueryParameterMatcher(name=name, string_match=text)
