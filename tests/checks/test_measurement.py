import json
from typing import Any

import pytest

from meshdojo.checks.measurement import Measurement, Request


def test_the_command_line_of_a_request() -> None:
    request = Request("http://web/", 5, headers=(("x-a", "1"),))
    command = request.command()
    assert command[:3] == ["python", "-m", "probe"]
    assert command[command.index("--requests") + 1] == "5"
    assert command[command.index("--header") + 1] == "x-a=1"
    assert command[command.index("--count-by") + 1] == "json:version"


def test_the_probe_understands_every_option(monkeypatch: pytest.MonkeyPatch) -> None:
    from probe.__main__ import parser

    given = parser().parse_args(Request("http://web/", 5, headers=(("x-a", "1"),)).command()[3:])
    assert (given.url, given.requests, given.header, given.deadline) == ("http://web/", 5, [("x-a", "1")], 40)


def test_sessions_are_asked_for_and_understood() -> None:
    from probe.__main__ import parser
    from probe.tally import Tally, by_status

    assert "--session" not in Request("http://web/", 6).command()
    assert parser().parse_args(Request("http://web/", 6, session=3).command()[3:]).session == 3
    tally = Tally(by_status)
    tally.sessions["a+b"] += 2
    assert Measurement.parse(json.dumps(tally.report(0.3)).encode()).sessions == {"a+b": 2}


def test_parsing(output: Any) -> None:
    measured = Measurement.parse(output(original=2, experimental=1))
    assert measured.requests == 3
    assert measured.counts == {"original": 2, "experimental": 1}


@pytest.mark.parametrize("text", [b"", b"Traceback", b"{}", b'{"requests": 1}'])
def test_what_is_no_result_is_refused(text: Any) -> None:
    with pytest.raises((ValueError, KeyError)):
        Measurement.parse(text)


def test_a_result_of_the_real_probe_is_understood() -> None:
    from probe.tally import Tally, by_status

    tally = Tally(by_status)
    tally.answered(200, {}, b"{}", 0.1)
    tally.answered(503, {}, b"no healthy upstream", 0.2)
    tally.failed("refused", "Connection refused")
    measured = Measurement.parse(json.dumps(tally.report(0.3)).encode())
    assert (measured.requests, measured.counts, measured.errors) == (3, {"200": 1}, {"refused": 1})
    assert measured.trouble() == "1 x status 503 (no healthy upstream), 1 x connection refused"
    assert (measured.fastest, measured.most) == (0.1, 0.2)
    assert Measurement.parse(json.dumps(Tally(by_status).report(0.3)).encode()).fastest == 0


@pytest.mark.parametrize(
    ("statuses", "errors", "examples", "words"),
    [
        ({"503": 3}, {}, {"503": "no healthy upstream"}, "subset's labels"),
        ({"503": 3}, {}, {"503": ""}, "subset that does not exist"),
        ({"404": 3}, {}, {}, "no route matched"),
        ({"403": 3}, {}, {"403": "RBAC: access denied"}, "AuthorizationPolicy"),
        ({}, {"refused": 3}, {"refused": "Connect call failed"}, "Nothing listens"),
        ({"418": 3}, {}, {"418": "teapot"}, "curl -i"),
        ({"503": 1}, {"refused": 9}, {}, "Nothing listens"),
    ],
)
def test_trouble_is_explained(measurement: Any, statuses: Any, errors: Any, examples: Any, words: Any) -> None:
    assert words in measurement({}, statuses, errors, examples).explanation()
