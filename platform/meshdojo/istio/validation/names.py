"""Rules for names that many fields share: hosts, ports, labels, durations, percentages, addresses.

Each function returns the messages of what is wrong, in Istio's words (pkg/config/validation); none means right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from ipaddress import ip_address, ip_network

_LABEL = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?")
_WILDCARD_LABEL = re.compile(rf"\*|(\*-)?{_LABEL.pattern}")
_TAG_KEY = re.compile(r"([a-zA-Z0-9][-a-zA-Z0-9.]*/)?[a-zA-Z0-9]([-a-zA-Z0-9_.]*[a-zA-Z0-9])?")
_TAG_VALUE = re.compile(r"([a-zA-Z0-9]([-a-zA-Z0-9_.]*[a-zA-Z0-9])?)?")
_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LOOKAROUND = re.compile(r"(?<!\\)\(\?(=|!|<=|<!|>)")
_BACKREFERENCE = re.compile(r"(?<!\\)(?:\\\\)*(\\[1-9])")
_RE2 = "; Istio uses RE2 style regex-based match (https://github.com/google/re2/wiki/Syntax)"


def is_label(name: str) -> bool:
    """Whether a name is a DNS 1123 label."""
    return len(name) <= 63 and _LABEL.fullmatch(name) is not None


def wildcard_domain(domain: str) -> list[str]:
    """A host: DNS labels, the first of which may be a wildcard."""
    if problems := _length(domain):
        return problems
    first, dot, rest = domain.partition(".")
    if len(first) > 63 or not _WILDCARD_LABEL.fullmatch(first):
        return [f'domain name "{domain}" invalid (label "{first}" invalid)']
    return _labels(rest) if dot else []


def fqdn(domain: str) -> list[str]:
    """A host without wildcards."""
    return _length(domain) or _labels(domain)


def _length(domain: str) -> list[str]:
    if not domain:
        return ["empty domain name not allowed"]
    return [f'domain name "{domain}" too long (max 255)'] if len(domain) > 255 else []


def _labels(domain: str) -> list[str]:
    parts = domain.split(".")
    if parts[-1].isdigit():
        return [f'domain name "{domain}" invalid (top level domain "{parts[-1]}" cannot be all-numeric)']
    for index, label in enumerate(parts):
        if index == len(parts) - 1 and index > 0 and not label:
            return []
        if not is_label(label):
            return [f'domain name "{domain}" invalid (label "{label}" invalid)']
    return []


def is_address(text: str) -> bool:
    """Whether `text` is an IP address of either version."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def subnet(text: str) -> list[str]:
    """An IP address or a CIDR."""
    if "/" not in text:
        return [] if is_address(text) else [f"{text} is not a valid IP"]
    try:
        ip_network(text, strict=False)
    except ValueError:
        return [f"{text} is not a valid CIDR block"]
    return []


def port(number: int) -> list[str]:
    """What is wrong with a port number: [] for nothing."""
    return [] if 1 <= number <= 65535 else [f"port number {number} must be in the range 1..65535"]


def header(name: str) -> list[str]:
    """What is wrong with the name of a header: [] for nothing."""
    if not name:
        return ["header name cannot be empty"]
    return [] if _HEADER.fullmatch(name) else [f"header name {name} is not a valid header name"]


def tags(labels: Mapping[str, str]) -> Iterator[str]:
    """Labels of pods."""
    for key, value in labels.items():
        if not _TAG_KEY.fullmatch(key):
            yield f'invalid tag key: "{key}"'
        if not _TAG_VALUE.fullmatch(value):
            yield f'invalid tag value: "{value}"'


def duration(value: timedelta | None) -> list[str]:
    """Milliseconds at the finest."""
    if value is not None and value.microseconds % 1000:
        return ["only durations to ms precision are supported"]
    return []


def percentage(value: int) -> list[str]:
    """What is wrong with a whole percentage: [] for nothing."""
    return [] if 0 <= value <= 100 else [f"percentage {value} is not in range 0..100"]


def percent(value: float) -> list[str]:
    """A percentage with fractions: zero, or at least one in a million."""
    if value and not 0.0001 <= value <= 100:
        return [f"percentage {value:g} is neither 0.0, nor in range [0.0001, 100.0]"]
    return []


def http_status(code: int) -> list[str]:
    """What is wrong with an HTTP status of an abort: [] for nothing."""
    return [] if 200 <= code <= 599 else [f"HTTP status {code} is not in range 200-599"]


def regex(where: str, expression: str) -> list[str]:
    """An RE2 expression: Python's syntax without what RE2 leaves out."""
    problem = _regex_problem(expression)
    return [f'"{where}": error parsing regexp: {problem}{_RE2}'] if problem else []


def _regex_problem(expression: str) -> str:
    if found := _LOOKAROUND.search(expression):
        return f"invalid or unsupported Perl syntax: `{found[0]}`"
    if found := _BACKREFERENCE.search(expression):
        return f"invalid escape sequence: `{found[1]}`"
    try:
        re.compile(expression)
    except re.error as error:
        return _in_go(error, expression)
    return ""


def _in_go(error: re.error, expression: str) -> str:
    """Go's words for what Python says."""
    rest = expression[error.pos or 0 :]
    words = {
        "unterminated character set": f"missing closing ]: `{rest}`",
        "missing ), unterminated subpattern": f"missing closing ): `{expression}`",
        "unbalanced parenthesis": f"unexpected ): `{expression}`",
        "nothing to repeat": f"missing argument to repetition operator: `{rest[:1]}`",
        "multiple repeat": f"invalid nested repetition operator: `{expression[max(0, (error.pos or 1) - 1) :][:2]}`",
    }
    if error.msg.startswith("bad escape"):
        return f"invalid escape sequence: `{rest[:2]}`"
    if error.msg.startswith("bad character range"):
        return f"invalid character class range: `{error.msg.rpartition(' ')[2]}`"
    return words.get(error.msg, f"{error.msg}: `{rest}`")


def export_to(names: Iterable[str]) -> Iterator[str]:
    """Visibility: namespaces, ``.`` and ``*``."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield f"duplicate entries in exportTo for entry {name}"
        elif name not in (".", "*", "~") and not is_label(name):
            yield "only .,*, or a valid DNS 1123 label is allowed as exportTo entry"
        seen.add(name)
    if "*" in seen and len(seen) > 1:
        yield "cannot have both public (*) and non-public exportTo values for a resource"
