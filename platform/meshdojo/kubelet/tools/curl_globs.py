"""curl's patterns in URLs: ``http://web/{a,b}`` and ``http://web/?[1-20]`` stand for several.

Source: curl(1), section "GLOBBING", and tool_urlglob.c.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product

_PART = re.compile(r"\\([\[\]{}\\])|\{([^{}]*)\}|\[([^\[\]]*)\]")
_NUMBERS = re.compile(r"(\d+)-(\d+)(?::(\d+))?")
_LETTERS = re.compile(r"([a-z])-([a-z])(?::(\d+))?|([A-Z])-([A-Z])(?::(\d+))?")
_IPV6 = re.compile(r"[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(?:%25[\w.-]+)?")
LARGEST = 100_000


class BadPattern(ValueError):
    """The text is curl's."""


def expand(url: str) -> list[str]:
    """The URLs that a pattern stands for, the last part running fastest. Raises BadPattern."""
    parts: list[Sequence[str]] = []
    position = 0
    for match in _PART.finditer(url):
        parts.append([url[position : match.start()]])
        parts.append(_choices(url, match))
        position = match.end()
    parts.append([url[position:]])
    size = 1
    for part in parts:
        size *= len(part)
    if size > LARGEST:
        raise BadPattern(f"range overflow in URL position {len(url)}:\n{url}")
    return ["".join(choice) for choice in product(*parts)]


def _choices(url: str, match: re.Match[str]) -> Sequence[str]:
    escaped, alternatives, span = match.groups()
    if escaped is not None:
        return [escaped]
    if alternatives is not None:
        return list(alternatives.split(","))
    if _IPV6.fullmatch(span):
        return [match[0]]
    if numbers := _NUMBERS.fullmatch(span):
        first, last, step = int(numbers[1]), int(numbers[2]), int(numbers[3] or 1)
        width = len(numbers[1]) if numbers[1].startswith("0") else 0
        if first <= last and step:
            return [f"{number:0{width}d}" for number in range(first, last + 1, step)]
    elif letters := _LETTERS.fullmatch(span):
        begin, end, by = (letters[1], letters[2], letters[3]) if letters[1] else (letters[4], letters[5], letters[6])
        if begin <= end and int(by or 1):
            return [chr(code) for code in range(ord(begin), ord(end) + 1, int(by or 1))]
    place = match.start() + 2
    raise BadPattern(f"bad range in URL position {place}:\n{url}\n{'^':>{place}}")
