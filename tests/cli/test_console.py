"""Words reach every terminal."""

from __future__ import annotations

import io

import pytest

from meshdojo.cli.console import legible


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", "+ x ... ?"), ("latin-1", "+ x ... é"), ("utf-8", "✔ ✘ … é")]
)
def test_what_an_encoding_lacks_becomes_something_like_it(encoding: str, shown: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    legible(stream)
    stream.write("✔ ✘ … é")
    stream.flush()
    assert raw.getvalue().decode(encoding) == shown
