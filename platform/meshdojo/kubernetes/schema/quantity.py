"""Quantities: ``500m``, ``1Gi``, ``1e3``.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/: a quantity is stored in its
canonical form, with no fraction and the largest suffix that allows that. Nothing below a billionth is kept, so a value
is a whole number of billionths here; what is less is rounded away from zero.
"""

from __future__ import annotations

import re

PATTERN = re.compile(r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$")
_NUMBER = re.compile(r"^([+-]?)([0-9]*)\.?([0-9]*)$")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_SUFFIXES = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_EXPONENT = re.compile(r"^[eE]([+-]?[0-9]+)$")
_ONE = 10**9
# Characters, and powers of ten: whoever writes more means no amount of anything.
_LONGEST = 100
_KIBI = 1024


class QuantityError(ValueError):
    """The text is no quantity."""


def parse(text: str) -> int:
    """The value in billionths: ``1m`` is 1,000,000. Raises QuantityError."""
    sign, digits, decimals, suffix = _split(text)
    exponent = _EXPONENT.match(suffix)
    scale = int(_KIBI ** _BINARY.get(suffix, 0))
    power = 9 - decimals + (int(exponent[1]) if exponent else _DECIMAL.get(suffix, 0))
    numerator = digits * scale * int(10 ** max(power, 0))
    return sign * -(-numerator // int(10 ** max(-power, 0)))


def number(text: str) -> float:
    """The value itself: ``100m`` is 0.1. Raises QuantityError."""
    return parse(text) / _ONE


def canonical(text: str) -> str:
    """The form in which the API server stores the quantity. Raises QuantityError."""
    value = parse(text)
    suffix = _split(text)[-1]
    if suffix in _BINARY and value % _ONE == 0 and abs(value) >= _KIBI * _ONE:
        return _binary(value // _ONE)
    return _decimal(value, exponential=bool(_EXPONENT.match(suffix)))


def _split(text: str) -> tuple[int, int, int, str]:
    """(sign, digits, how many of them are decimals, suffix)."""
    if len(text) > _LONGEST:
        # Before the pattern, whose two groups of digits take a time that is the square of the length.
        raise QuantityError(text)
    match = PATTERN.match(text)
    number = _NUMBER.match(match[1]) if match else None
    if match is None or number is None or not (number[2] or number[3]):
        raise QuantityError(text)
    suffix = match[2]
    exponent = _EXPONENT.match(suffix)
    if exponent and abs(int(exponent[1])) > _LONGEST:
        raise QuantityError(text)
    if suffix not in _DECIMAL and suffix not in _BINARY and not exponent:
        raise QuantityError(text)
    return (-1 if number[1] == "-" else 1), int(number[2] + number[3]), len(number[3]), suffix


def _binary(value: int) -> str:
    power = 0
    while value % _KIBI == 0 and power < len(_BINARY):
        value //= _KIBI
        power += 1
    suffix = next((suffix for suffix, exponent in _BINARY.items() if exponent == power), "")
    return f"{value}{suffix}"


def _decimal(value: int, *, exponential: bool) -> str:
    if value == 0:
        return "0"
    exponent = -9
    while value % 1000 == 0 and exponent < max(_SUFFIXES):
        value //= 1000
        exponent += 3
    if exponential:
        return f"{value}e{exponent}" if exponent else str(value)
    return f"{value}{_SUFFIXES[exponent]}"
