"""The request headers that every service hands on to the services it calls.

A sidecar sees a request come in and another go out, but cannot know that the second was caused by the first: only
the application can carry the headers over. Tracing needs ``traceparent`` or B3 (W3C Trace Context; Zipkin's B3), logs
need ``x-request-id``, ``baggage`` (W3C Baggage) is made to be carried on, and a dark release needs the ``x-fleet-``
headers that routes match on.

``FORWARD_HEADERS`` in a pod's environment replaces this list: names separated by commas, a ``*`` at the end of one for
whatever begins so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

PROPAGATED = (
    "x-request-id",
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "authorization",
)
PREFIX = "x-fleet-"
VARIABLE = "FORWARD_HEADERS"

Forward = Callable[[Mapping[str, str]], dict[str, str]]


def propagated(headers: Mapping[str, str]) -> dict[str, str]:
    """The part of a request's headers (names in lower case) that goes on to the next service."""
    return {name: value for name, value in headers.items() if name in PROPAGATED or name.startswith(PREFIX)}


def forwarding(environment: Mapping[str, str]) -> Forward:
    """What hands headers on in this environment: `propagated`, or as its FORWARD_HEADERS says."""
    if VARIABLE not in environment:
        return propagated
    entries = [entry.strip().lower() for entry in environment[VARIABLE].split(",") if entry.strip()]
    names = {entry for entry in entries if not entry.endswith("*")}
    prefixes = tuple(entry.removesuffix("*") for entry in entries if entry.endswith("*"))
    return lambda headers: {
        name: value for name, value in headers.items() if name in names or name.startswith(prefixes)
    }
