"""Answers: JSON bodies, Status failures, Warning headers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from meshdojo.kubernetes import errors
from meshdojo.kubernetes.http.negotiation import JSON, write

_MAX_WARNING = 256


def answer(
    value: Any, code: int = 200, *, media_type: str = JSON, warnings: Iterable[str] = (), pretty: bool = False
) -> Response:
    """A value as the body, with one Warning header for each different warning."""
    response = Response(write(value, media_type, pretty=pretty), code, media_type=media_type)
    response.headers["cache-control"] = "no-cache, private"
    for warning in dict.fromkeys(warnings):
        response.headers.append("warning", warning_header(warning))
    return response


def failure(error: errors.StatusError, warnings: Iterable[str] = ()) -> Response:
    """A Status failure."""
    response = answer(error.status(), error.code, warnings=warnings)
    retry = (error.details or {}).get(errors.RETRY_AFTER)
    if retry:
        response.headers["retry-after"] = str(retry)
    return response


def not_found() -> Response:
    """What a path that nothing serves gets: plain text."""
    return Response("404 page not found\n", 404, media_type="text/plain")


def warning_header(text: str) -> str:
    """``299 - "text"``: one line, quotes escaped, what is not ASCII replaced. Source: RFC 7234 section 5.5."""
    line = " ".join(text.split()).encode("ascii", "replace").decode()
    if len(line) > _MAX_WARNING:
        line = line[: _MAX_WARNING - 3] + "..."
    quoted = line.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{quoted}"'
