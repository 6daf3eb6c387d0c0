from __future__ import annotations

from meshdojo.istio.istioctl.table import lines


def test_columns_are_as_wide_as_needed() -> None:
    rows = [("NAME", "X", "TYPES"), ("a-long-name", "1", "2 (CDS)")]
    assert lines(rows) == [
        "NAME            X     TYPES",
        "a-long-name     1     2 (CDS)",
    ]


def test_no_rows() -> None:
    assert lines([]) == []
