from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdojo.kubernetes.schema.quantity import QuantityError, canonical, number, parse


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("1.5Gi", "1536Mi"),
        ("2048Ki", "2Mi"),
        ("1000Ki", "1000Ki"),
        ("0.1Gi", "107374182400m"),
        ("1e3", "1e3"),
        ("1E3", "1e3"),
        ("100", "100"),
        ("-1", "-1"),
        (".5", "500m"),
        ("1.", "1"),
        ("0", "0"),
        ("0.0000000001", "1n"),
        ("5000", "5k"),
    ],
)
def test_stored_form(text: str, stored: str) -> None:
    assert canonical(text) == stored


@pytest.mark.parametrize("text", ["", "1x", "Mi", "1 Gi", "1.2.3", "--1", "1ee3", ".", "1KiB"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(QuantityError):
        parse(text)


def test_comparison() -> None:
    assert parse("1") == parse("1000m") == 10**9
    assert parse("1Gi") > parse("1G") > parse("999M")


@given(st.decimals(min_value=-(10**6), max_value=10**6, places=3), st.sampled_from(["", "m", "k", "Ki", "Gi", "e2"]))
def test_the_stored_form_is_the_same_value(number: object, suffix: str) -> None:
    text = f"{number}{suffix}"
    assert parse(canonical(text)) == parse(text)
    assert canonical(canonical(text)) == canonical(text)


@pytest.mark.parametrize(("text", "value"), [("100m", 0.1), ("1", 1.0), ("64Mi", 67108864.0), ("2k", 2000.0)])
def test_as_a_number(text: str, value: float) -> None:
    assert number(text) == value
