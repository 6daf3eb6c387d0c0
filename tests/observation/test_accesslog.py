"""Lines as proxies write them (taken from real ones)."""

from __future__ import annotations

import json

import pytest

from meshdojo.observation.accesslog import address, parse

OUTBOUND = (
    '[2026-11-28T16:20:13.455Z] "GET / HTTP/1.1" 200 - via_upstream - "-" 0 1955 2 2 "10.244.0.1" "curl/7.88.1" '
    '"fb3ac418-e91b-9e65-8db8-42c9cae5f294" "gateway:30726" "10.244.0.9:8080" '
    "outbound|80||web.fleet.svc.cluster.local 10.244.0.7:44300 10.244.0.7:8080 10.244.0.1:49359 - -"
)
INBOUND = (
    '[2026-11-28T16:20:13.456Z] "GET /api/vehicles?a=b HTTP/1.1" 503 UF,URX upstream_reset - "TLS_error" 12 91 31 - '
    '"-" '
    '"curl/7.88.1" "fb3ac418" "web" "10.244.0.9:8080" inbound|8080|| 127.0.0.6:35956 10.244.0.9:8080 10.244.0.7:51234 '
    "outbound_.80_._.web.fleet.svc.cluster.local default"
)


def test_a_request_that_went_out() -> None:
    entry = parse(OUTBOUND)
    assert entry
    assert (entry.direction, entry.host) == ("outbound", "web.fleet.svc.cluster.local")
    assert (entry.method, entry.path, entry.code, entry.duration, entry.service_time) == ("GET", "/", 200, 2.0, 2.0)
    assert (address(entry.upstream), address(entry.caller)) == ("10.244.0.9", "10.244.0.1")
    assert (entry.failed, entry.encrypted, entry.flags) == (False, False, ())
    assert entry.sent == 1955


def test_a_request_that_came_in_over_mutual_tls_and_failed() -> None:
    entry = parse(INBOUND)
    assert entry
    assert (entry.direction, entry.host) == ("inbound", "")
    assert (entry.failed, entry.encrypted) == (True, True)
    assert entry.flags == ("UF", "URX")
    assert entry.service_time is None
    assert entry.path == "/api/vehicles?a=b"
    assert entry.route == "default"
    assert entry.failure == "TLS_error"


def test_the_json_form_says_the_same() -> None:
    fields = {
        "start_time": "2026-11-28T16:20:13.455Z",
        "method": "GET",
        "path": "/",
        "protocol": "HTTP/1.1",
        "response_code": 200,
        "response_flags": "-",
        "duration": 2,
        "upstream_cluster": "outbound|80||web.fleet.svc.cluster.local",
        "upstream_host": "10.244.0.9:8080",
        "downstream_remote_address": "10.244.0.1:49359",
        "requested_server_name": None,
    }
    entry = parse(json.dumps(fields))
    assert entry
    assert (entry.host, entry.code, entry.server_name) == ("web.fleet.svc.cluster.local", 200, "")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "2026-11-28T15:38:07.193733Z\twarning\tenvoy config\tstream closed",
        "[half a line",
        '{"level":"info","msg":"agent"}',
        '{"broken',
        OUTBOUND.replace('"GET / HTTP/1.1"', '"- - -"'),  # a TCP connection
        OUTBOUND.replace("2026-11-28T16:20:13.455Z", "yesterday"),
    ],
)
def test_other_lines_are_no_requests(line: str) -> None:
    assert parse(line) is None


def test_addresses_lose_their_port() -> None:
    assert [address(text) for text in ("10.0.0.1:80", "[::1]:8080", "")] == ["10.0.0.1", "::1", ""]
