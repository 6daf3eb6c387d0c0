"""What a shell has printed."""

from __future__ import annotations

from meshdojo.web.scrollback import Chunk, Scrollback


def test_every_byte_has_a_place_and_who_comes_back_gets_what_was_missed() -> None:
    kept = Scrollback()
    kept.append(b"one\n")
    kept.append(b"two\n")
    assert kept.since(0, 100) == Chunk(0, b"one\ntwo\n")
    assert kept.since(4, 2) == Chunk(4, b"tw")
    assert kept.since(8, 100) == Chunk(8, b"")
    assert kept.since(0, 100).end == kept.end == 8


def test_what_is_older_than_the_limit_goes_by_whole_lines() -> None:
    kept = Scrollback(limit=40)
    for number in range(20):
        kept.append(f"line {number:02}\n".encode())
    chunk = kept.since(0, 1000)
    assert 30 <= len(chunk.data) <= 50
    assert chunk.data.startswith(b"line ")
    assert chunk.data.endswith(b"line 19\n")
    assert (chunk.at, chunk.end) == (kept.start, 160)


def test_one_line_without_end_cannot_grow_without_bound() -> None:
    kept = Scrollback(limit=100)
    for _ in range(100):
        kept.append(b"x" * 10)
    assert len(kept.since(0, 10_000).data) <= 125
    assert kept.end == 1000


def test_a_place_from_another_life_is_the_end() -> None:
    kept = Scrollback()
    kept.append(b"new")
    assert kept.since(5000, 100) == Chunk(3, b"")
