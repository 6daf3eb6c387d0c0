"""Quantities: ``500m``, ``1Gi``, ``1e3``.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/: a quantity is stored in its
canonical form, with no fraction and the largest suffix that allows that.
"""

from __future__ import annotations

import re
from fractions import Fraction
from math import ceil

PATTERN = re.compile(r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_SUFFIXES = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_EXPONENT = re.compile(r"^[eE]([+-]?[0-9]+)$")
_NANO = 10**9
_SMALLEST_BINARY = 1024


class QuantityError(ValueError):
    """The text is no quantity."""


def parse(text: str) -> Fraction:
    """The value. Raises QuantityError."""
    number, suffix = _split(text)
    if suffix in _BINARY:
        return number * Fraction(_SMALLEST_BINARY ** _BINARY[suffix])
    exponent = _EXPONENT.match(suffix)
    power = int(exponent[1]) if exponent else _DECIMAL[suffix]
    return number * (Fraction(10**power) if power >= 0 else Fraction(1, 10**-power))


def canonical(text: str) -> str:
    """The form in which the API server stores the quantity. Raises QuantityError."""
    value = parse(text)
    _, suffix = _split(text)
    if suffix in _BINARY and value.denominator == 1 and abs(value) >= _SMALLEST_BINARY:
        return _binary(int(value))
    # Nothing below a billionth is kept; it is rounded away from zero.
    nanos = ceil(abs(value) * _NANO) * (-1 if value < 0 else 1)
    return _decimal(nanos, exponential=bool(_EXPONENT.match(suffix)))


def _split(text: str) -> tuple[Fraction, str]:
    match = PATTERN.match(text)
    if match is None:
        raise QuantityError(text)
    number, suffix = match[1], match[2]
    if suffix not in _DECIMAL and suffix not in _BINARY and not _EXPONENT.match(suffix):
        raise QuantityError(text)
    try:
        return Fraction(number), suffix
    except ValueError:
        raise QuantityError(text) from None


def _binary(value: int) -> str:
    power = 0
    while value % _SMALLEST_BINARY == 0 and power < len(_BINARY):
        value //= _SMALLEST_BINARY
        power += 1
    suffix = next((suffix for suffix, exponent in _BINARY.items() if exponent == power), "")
    return f"{value}{suffix}"


def _decimal(nanos: int, *, exponential: bool) -> str:
    if nanos == 0:
        return "0"
    exponent = -9
    while nanos % 1000 == 0 and exponent < max(_SUFFIXES):
        nanos //= 1000
        exponent += 3
    if exponential:
        return f"{nanos}e{exponent}" if exponent else str(nanos)
    return f"{nanos}{_SUFFIXES[exponent]}"
