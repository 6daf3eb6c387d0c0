from __future__ import annotations

import pytest

from meshdojo.istio.istioctl.durations import seconds


@pytest.mark.parametrize(("text", "expected"), [("5m0s", 300), ("1.5s", 1.5), ("100ms", 0.1), ("1h", 3600)])
def test_seconds(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "5", "s", "1 s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=rf"^{text}$"):
        seconds(text)
