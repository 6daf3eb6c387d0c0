"""One line of a proxy's access log.

Istio's default format (``meshConfig.accessLogFormat`` empty), as text or JSON: pilot/pkg/model/telemetry_logging.go.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Direction = Literal["inbound", "outbound", "none"]

# Names as in the JSON form; in the order of the text form.
_TEXT = re.compile(
    r"\[(?P<start_time>[^\]]+)\] "
    r'"(?P<method>\S+) (?P<path>.*?) (?P<protocol>\S+)" '
    r"(?P<response_code>\d+) (?P<response_flags>\S+) (?P<response_code_details>\S+) "
    r'(?P<connection_termination_details>\S+) "(?P<upstream_transport_failure_reason>[^"]*)" '
    r"(?P<bytes_received>\S+) (?P<bytes_sent>\S+) (?P<duration>\S+) (?P<upstream_service_time>\S+) "
    r'"(?P<x_forwarded_for>[^"]*)" "(?P<user_agent>[^"]*)" "(?P<request_id>[^"]*)" "(?P<authority>[^"]*)" '
    r'"(?P<upstream_host>[^"]*)" (?P<upstream_cluster>\S+) (?P<upstream_local_address>\S+) '
    r"(?P<downstream_local_address>\S+) (?P<downstream_remote_address>\S+) "
    r"(?P<requested_server_name>\S+) (?P<route_name>.*)"
)
# Flags of answers that the proxy itself gave because something was wrong (Envoy's access log documentation).
FLAGS = {
    "DC": "the caller hung up",
    "DI": "a delay was injected",
    "DPE": "the caller spoke no valid HTTP",
    "FI": "an abort was injected",
    "IH": "a header was refused",
    "LH": "the local health check failed",
    "LR": "the connection was reset locally",
    "NC": "the route names a host or subset that does not exist",
    "NFCF": "the filter's configuration is missing",
    "NR": "no route matched",
    "RL": "a rate limit was reached",
    "SI": "the stream was idle for too long",
    "UAEX": "an authorization service refused",
    "UC": "the service closed the connection",
    "UF": "no connection to the service could be made",
    "UH": "no healthy pod",
    "UMSDR": "the longest stream duration was reached",
    "UO": "a circuit breaker is open: too much was waiting",
    "UPE": "the service spoke no valid HTTP",
    "UR": "the service reset the stream",
    "URX": "every retry failed",
    "UT": "the service took too long",
}


@dataclass(frozen=True)
class Entry:
    """A request as one proxy saw it. Texts are '' where the log has '-'; times in milliseconds, `at` in seconds.

    `cluster` is Envoy's name of where the request went (``outbound|80|v1|web.fleet.svc.cluster.local``,
    ``inbound|8080||``, ``PassthroughCluster``), `upstream` and `caller` are addresses, `server_name` is the SNI.
    """

    at: float
    method: str
    path: str
    protocol: str
    code: int
    flags: tuple[str, ...]
    details: str
    duration: float
    service_time: float | None
    request_id: str
    authority: str
    forwarded_for: str
    user_agent: str
    upstream: str
    cluster: str
    local: str
    caller: str
    server_name: str
    route: str
    received: int
    sent: int
    failure: str

    @property
    def direction(self) -> Direction:
        """Whether the proxy handed the request to its own pod, or sent it on its way."""
        if self.cluster.startswith("inbound|") or self.cluster == "InboundPassthroughCluster":
            return "inbound"
        return "outbound" if self.cluster else "none"

    @property
    def host(self) -> str:
        """The service that the request was sent to, as ``name.namespace.svc.cluster.local``; '' where none is known."""
        parts = self.cluster.split("|")
        return parts[3] if len(parts) == 4 and parts[0] == "outbound" else ""

    @property
    def failed(self) -> bool:
        """Whether the caller got no good answer: a 5xx, or none at all."""
        return self.code >= 500 or self.code == 0

    @property
    def encrypted(self) -> bool:
        """Whether the caller's proxy spoke mutual TLS: only then does it name the service in the TLS handshake."""
        return self.server_name.startswith("outbound_.")


def parse(line: str) -> Entry | None:
    """The entry of a line; None for lines that are none, and for TCP connections."""
    if line.startswith("["):
        match = _TEXT.fullmatch(line.rstrip())
        return _entry(match.groupdict()) if match and match["method"] != "-" else None
    if line.startswith('{"'):
        try:
            fields = json.loads(line)
        except ValueError:
            return None
        texts = {name: "-" if value is None else str(value) for name, value in fields.items()}
        return _entry(texts) if texts.get("method", "-") != "-" and "response_code" in texts else None
    return None


def _entry(fields: dict[str, str]) -> Entry | None:
    def text(name: str) -> str:
        value = fields.get(name, "-")
        return "" if value == "-" else value

    def number(name: str) -> float | None:
        value = text(name)
        return float(value) if value.replace(".", "", 1).isdigit() else None

    try:
        at = datetime.fromisoformat(fields["start_time"].replace("Z", "+00:00")).timestamp()
    except (KeyError, ValueError):
        return None
    return Entry(
        at=at,
        method=text("method"),
        path=text("path"),
        protocol=text("protocol"),
        code=int(number("response_code") or 0),
        flags=tuple(flag for flag in text("response_flags").split(",") if flag),
        details=text("response_code_details"),
        duration=number("duration") or 0.0,
        service_time=number("upstream_service_time"),
        request_id=text("request_id"),
        authority=text("authority"),
        forwarded_for=text("x_forwarded_for"),
        user_agent=text("user_agent"),
        upstream=text("upstream_host"),
        cluster=text("upstream_cluster"),
        local=text("downstream_local_address"),
        caller=text("downstream_remote_address"),
        server_name=text("requested_server_name"),
        route=text("route_name"),
        received=int(number("bytes_received") or 0),
        sent=int(number("bytes_sent") or 0),
        failure=text("upstream_transport_failure_reason"),
    )


def address(text: str) -> str:
    """The address without its port: '10.0.0.1:8080' -> '10.0.0.1', '[::1]:80' -> '::1'."""
    return text.rpartition(":")[0].strip("[]")
