"""Answers: JSON bodies, Status failures, Warning headers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.responses import Response
from starlette.types import Scope

from meshdojo.kubernetes import errors
from meshdojo.kubernetes.http.negotiation import JSON, write
from meshdojo.kubernetes.http.queries import flag

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


def for_people(scope: Scope) -> bool:
    """Whether an answer is to be indented: ``?pretty`` decides, else who asks. Source: isPrettyPrint."""
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    if "pretty" in query:
        return flag(query, "pretty")
    agent = dict(scope["headers"]).get(b"user-agent", b"")
    return bool(agent.startswith((b"curl", b"Wget", b"Mozilla/5.0")))


def pretty(response: Response) -> Response:
    """The same answer with its JSON indented; as it is when it holds none."""
    if not response.headers.get("content-type", "").startswith(JSON) or not response.body:
        return response
    body = write(orjson.loads(response.body), pretty=True).rstrip(b"\n")
    indented = Response(body, response.status_code)
    indented.raw_headers = [(name, value) for name, value in response.raw_headers if name != b"content-length"]
    indented.headers["content-length"] = str(len(body))
    return indented


def warning_header(text: str) -> str:
    """``299 - "text"``: one line, quotes escaped, what a header cannot hold replaced. Source: RFC 7234 section 5.5."""
    line = "".join(one if " " <= one <= "~" else "?" for one in " ".join(text.split()))
    if len(line) > _MAX_WARNING:
        line = line[: _MAX_WARNING - 3] + "..."
    quoted = line.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{quoted}"'
