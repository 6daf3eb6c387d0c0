"""Per-route settings of HTTP filters: fault injection and CORS."""

from __future__ import annotations

import base64
from typing import Any

from meshdojo.istio.messages import (
    CorsPolicy,
    DataSource,
    DirectResponseAction,
    FaultAbort,
    FaultDelay,
    HTTPFault,
    RuntimeFractionalPercent,
    StringMatcher,
)
from meshdojo.istio.messages import FractionalPercent as Fraction
from meshdojo.istio.models.virtual_service import CorsPolicy as Cors
from meshdojo.istio.models.virtual_service import HTTPDirectResponse, HTTPFaultInjection
from meshdojo.istio.translation import build
from meshdojo.istio.translation.routes.matching import string_match

FAULT_FILTER, CORS_FILTER = "envoy.filters.http.fault", "envoy.filters.http.cors"
# Source: google.rpc.Code.
GRPC_CODES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)


def fault(injection: HTTPFaultInjection) -> Any:
    """Without a percentage a fault never strikes (only the old `percent` of a delay counts then)."""
    found = HTTPFault()
    delay, abort = injection.delay, injection.abort
    if delay is not None:
        share = delay.percentage.value if delay.percentage is not None else float(delay.percent)
        found.delay.CopyFrom(FaultDelay(percentage=build.percentage(share)))
        if delay.fixed_delay is not None:
            found.delay.fixed_delay.CopyFrom(build.duration(delay.fixed_delay))
    if abort is not None:
        found.abort.CopyFrom(FaultAbort())
        if abort.percentage is not None:
            found.abort.percentage.CopyFrom(build.percentage(abort.percentage.value))
        if abort.grpc_status is not None:
            found.abort.grpc_status = GRPC_CODES.index(abort.grpc_status)
        elif abort.http_status is not None:
            found.abort.http_status = abort.http_status
    return found


def cors(policy: Cors) -> Any:
    """Envoy's policy of cross-origin requests for that of a VirtualService."""
    origins = [StringMatcher(exact=one) for one in policy.allow_origin]
    origins += [found for one in policy.allow_origins if (found := string_match(one)) is not None]
    found = CorsPolicy(
        allow_origin_string_match=origins,
        allow_methods=",".join(policy.allow_methods),
        allow_headers=",".join(policy.allow_headers),
        expose_headers=",".join(policy.expose_headers),
        filter_enabled=RuntimeFractionalPercent(default_value=Fraction(numerator=100)),
    )
    found.forward_not_matching_preflights.value = policy.unmatched_preflights != "IGNORE"
    if policy.max_age is not None:
        found.max_age = str(int(policy.max_age.total_seconds()))
    if policy.allow_credentials is not None:
        found.allow_credentials.value = policy.allow_credentials
    return found


def direct_response(response: HTTPDirectResponse) -> Any:
    """An answer that Envoy gives by itself, with the text or bytes of the resource."""
    found = DirectResponseAction(status=response.status)
    if response.body is not None:
        if response.body.string is not None:
            found.body.CopyFrom(DataSource(inline_string=response.body.string))
        elif response.body.bytes_ is not None:
            found.body.CopyFrom(DataSource(inline_bytes=base64.b64decode(response.body.bytes_)))
    return found
