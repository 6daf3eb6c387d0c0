"""Routes of a VirtualService that no request can reach, because earlier ones take all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from meshdojo.istio.models.virtual_service import HTTPMatchRequest, HTTPRoute


def warnings(routes: Sequence[HTTPRoute]) -> Iterator[str]:
    """In the words of the webhook; a route is named by its name or its place."""
    seen: list[tuple[int, int, HTTPMatchRequest]] = []
    catch_all = False
    for index, route in enumerate(routes):
        this = f"virtualService rule {_name(route, index)}"
        if not route.match:
            if catch_all:
                yield f"{this} not used (only the last rule can have no matches)"
            catch_all = True
            continue
        doubled = 0
        for number, match in enumerate(route.match):
            if earlier := _same(match, seen):
                reason = f"duplicate/overlapping match in rule {_name(routes[earlier[0]], earlier[0])}"
                yield f"{this} match {_match_name(match, number)} is not used ({reason})"
                doubled += 1
            elif covering := _covering(match, seen):
                yield _overlap(this, match, number, covering, routes)
            else:
                seen.append((index, number, match))
        if doubled == len(route.match):
            yield f"{this} not used (all matches used by prior rules)"
        elif catch_all:
            yield f"{this} not used (route without matches defined before)"


Seen = Sequence[tuple[int, int, HTTPMatchRequest]]


def _name(route: HTTPRoute, index: int) -> str:
    return f'"{route.name}"' if route.name else f"#{index}"


def _match_name(match: HTTPMatchRequest, number: int) -> str:
    return f'"{match.name}"' if match.name else f"#{number}"


def _same(match: HTTPMatchRequest, seen: Seen) -> tuple[int, int, HTTPMatchRequest] | None:
    return next((entry for entry in seen if entry[2] == match), None)


def _covering(match: HTTPMatchRequest, seen: Seen) -> tuple[int, int, HTTPMatchRequest] | None:
    return next((entry for entry in seen if _covers(entry[2], match)), None)


def _covers(wide: HTTPMatchRequest, narrow: HTTPMatchRequest) -> bool:
    """Whether `wide` has a shorter prefix and no condition that `narrow` does not have as well."""
    if not (wide.uri and narrow.uri and wide.uri.prefix and narrow.uri.prefix):
        return False
    if not narrow.uri.prefix.startswith(wide.uri.prefix) or wide.ignore_uri_case != narrow.ignore_uri_case:
        return False
    single = ("scheme", "method", "authority", "source_namespace")
    if any(getattr(wide, field) and getattr(wide, field) != getattr(narrow, field) for field in single):
        return False
    many = ("headers", "query_params", "without_headers", "source_labels")
    within = all(getattr(wide, field).items() <= getattr(narrow, field).items() for field in many)
    return within and wide.port == narrow.port and wide.gateways == narrow.gateways


def _overlap(
    this: str,
    match: HTTPMatchRequest,
    number: int,
    covering: tuple[int, int, HTTPMatchRequest],
    routes: Sequence[HTTPRoute],
) -> str:
    index, place, wide = covering
    narrow_prefix = match.uri.prefix if match.uri else ""
    wide_prefix = wide.uri.prefix if wide.uri else ""
    return (
        f"{this} match {_match_name(match, number)} of prefix {narrow_prefix} is not used (duplicate/overlapping match "
        f"in rule {_name(routes[index], index)} of prefix {wide_prefix} on {_match_name(wide, place)})"
    )
