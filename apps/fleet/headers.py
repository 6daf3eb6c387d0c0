"""The request headers that every service hands on to the services it calls.

A sidecar sees a request come in and another go out, but cannot know that the second was caused by the first: only
the application can carry the headers over. Tracing needs ``traceparent`` or B3 (W3C Trace Context; Zipkin's B3), logs
need ``x-request-id``, and a dark release needs the ``x-fleet-`` headers that routes match on.
"""

from __future__ import annotations

from collections.abc import Mapping

PROPAGATED = (
    "x-request-id",
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "authorization",
)
PREFIX = "x-fleet-"


def propagated(headers: Mapping[str, str]) -> dict[str, str]:
    """The part of a request's headers (names in lower case) that goes on to the next service."""
    return {name: value for name, value in headers.items() if name in PROPAGATED or name.startswith(PREFIX)}
