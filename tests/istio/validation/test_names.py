from __future__ import annotations

from datetime import timedelta

import pytest

from meshdojo.istio.validation import names


@pytest.mark.parametrize("host", ["a", "a.b", "*", "*.a", "*-a.b", "A-1.b", "a.b."])
def test_hosts(host: str) -> None:
    assert names.wildcard_domain(host) == []


@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ("", "empty domain name not allowed"),
        ("a_b", 'domain name "a_b" invalid (label "a_b" invalid)'),
        ("a.*.b", 'domain name "*.b" invalid (label "*" invalid)'),
        ("a..b", 'domain name ".b" invalid (label "" invalid)'),
        ("a.1", 'domain name "1" invalid (top level domain "1" cannot be all-numeric)'),
        ("x" * 64, f'domain name "{"x" * 64}" invalid (label "{"x" * 64}" invalid)'),
        ("a." * 200, f'domain name "{"a." * 200}" too long (max 255)'),
    ],
)
def test_what_is_no_host(host: str, problem: str) -> None:
    assert names.wildcard_domain(host) == [problem]


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("[", "missing closing ]: `[`"),
        ("a(b", "missing closing ): `a(b`"),
        ("a)b", "unexpected ): `a)b`"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        (r"(a)\1", r"invalid escape sequence: `\1`"),
        (r"\y", r"invalid escape sequence: `\y`"),
        ("[b-a]", "invalid character class range: `b-a`"),
    ],
)
def test_what_re2_does_not_understand(expression: str, problem: str) -> None:
    (found,) = names.regex("uri", expression)
    assert found.startswith(f'"uri": error parsing regexp: {problem}; Istio uses RE2')


@pytest.mark.parametrize("expression", ["/v[12]/.*", "(?i)abc", r"\d+\.\w", "a{2,3}", r"\\1"])
def test_what_re2_understands(expression: str) -> None:
    assert names.regex("uri", expression) == []


def test_numbers() -> None:
    assert names.port(80) == []
    assert names.port(0) == ["port number 0 must be in the range 1..65535"]
    assert names.percentage(101) == ["percentage 101 is not in range 0..100"]
    assert names.percent(0) == names.percent(0.0001) == names.percent(100) == []
    assert names.percent(0.00001) == ["percentage 1e-05 is neither 0.0, nor in range [0.0001, 100.0]"]
    assert names.http_status(199) == ["HTTP status 199 is not in range 200-599"]


def test_durations() -> None:
    assert names.duration(None) == names.duration(timedelta(milliseconds=1)) == []
    assert names.duration(timedelta(microseconds=1)) == ["only durations to ms precision are supported"]


@pytest.mark.parametrize(
    ("entries", "problems"),
    [
        ([], []),
        ([".", "shop"], []),
        (["*"], []),
        (["a", "a"], ["duplicate entries in exportTo for entry a"]),
        (["*", "."], ["cannot have both public (*) and non-public exportTo values for a resource"]),
        (["A_"], ["only .,*, or a valid DNS 1123 label is allowed as exportTo entry"]),
    ],
)
def test_export_to(entries: list[str], problems: list[str]) -> None:
    assert list(names.export_to(entries)) == problems


def test_subnets() -> None:
    assert names.subnet("10.0.0.1") == names.subnet("10.0.0.0/8") == names.subnet("::1") == []
    assert names.subnet("10.0.0") == ["10.0.0 is not a valid IP"]
    assert names.subnet("10.0.0.0/99") == ["10.0.0.0/99 is not a valid CIDR block"]
