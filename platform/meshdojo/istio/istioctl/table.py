"""Tables as Go's tabwriter makes them for istioctl: columns as wide as needed, padded by at least `gap` blanks."""

from __future__ import annotations

from collections.abc import Sequence


def lines(rows: Sequence[Sequence[str]], gap: int = 5) -> list[str]:
    """One line per row; the first row is the header. Trailing blanks of the last column are left out."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) + gap for column in range(len(rows[0]) - 1)]
    made = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        made.append("".join([*cells, row[-1]]))
    return made


def show(rows: Sequence[Sequence[str]], gap: int = 5) -> None:
    """Print the table."""
    for line in lines(rows, gap):
        print(line)
