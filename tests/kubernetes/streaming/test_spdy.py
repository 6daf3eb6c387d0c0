from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdojo.kubernetes.streaming import spdy

HEADERS = {"streamtype": "data", "port": "8080", "requestid": "0"}


def test_the_dictionary_is_that_of_the_protocol() -> None:
    assert (len(spdy.DICTIONARY), zlib.adler32(spdy.DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_streams_open_with_headers() -> None:
    encoder, decoder = spdy.Encoder(), spdy.Decoder()
    first = encoder.syn_stream(1, HEADERS)
    second = encoder.syn_stream(3, {**HEADERS, "requestid": "1"}, fin=True)
    # Headers of later frames are compressed against those before.
    assert len(second) < len(first)
    [opened, again] = decoder.feed(first + second)
    assert (opened.kind, opened.stream, opened.headers, opened.fin) == (spdy.SYN_STREAM, 1, HEADERS, False)
    assert (again.stream, again.headers["requestid"], again.fin) == (3, "1", True)


@given(st.lists(st.tuples(st.integers(0, 2**31 - 1), st.binary(max_size=50), st.booleans())), st.integers(1, 20))
def test_any_slicing_gives_the_same_frames(frames: list[tuple[int, bytes, bool]], size: int) -> None:
    stream = b"".join(spdy.data(number, payload, fin=fin) for number, payload, fin in frames)
    decoder = spdy.Decoder()
    slices = [stream[i : i + size] for i in range(0, len(stream), size)]
    found = [(f.stream, f.payload, f.fin) for part in slices for f in decoder.feed(part)]
    assert found == frames


def test_control_frames() -> None:
    decoder = spdy.Decoder()
    [ping, reset, reply] = decoder.feed(spdy.ping(b"\0\0\0\7") + spdy.reset(5, 3) + spdy.Encoder().syn_reply(9))
    assert (ping.kind, ping.payload) == (spdy.PING, b"\0\0\0\7")
    assert (reset.kind, reset.stream) == (spdy.RST_STREAM, 5)
    assert (reply.kind, reply.stream) == (spdy.SYN_REPLY, 9)


def test_another_version_is_refused() -> None:
    with pytest.raises(spdy.SPDYError, match="SPDY version 2: only 3 is understood"):
        list(spdy.Decoder().feed(struct.pack(">HHI", 0x8002, spdy.PING, 0)))


def test_headers_that_cannot_be_read() -> None:
    frame = struct.pack(">HHIIIH", 0x8003, spdy.SYN_STREAM, 14, 1, 0, 0) + b"junk"
    with pytest.raises(spdy.SPDYError, match="headers cannot be read"):
        list(spdy.Decoder().feed(frame))


def test_headers_that_are_cut_short() -> None:
    deflate = zlib.compressobj(zdict=spdy.DICTIONARY)
    block = deflate.compress(struct.pack(">II", 1, 99) + b"x") + deflate.flush(zlib.Z_SYNC_FLUSH)
    frame = struct.pack(">HHIIIH", 0x8003, spdy.SYN_STREAM, 10 + len(block), 1, 0, 0) + block
    with pytest.raises(spdy.SPDYError, match="headers are shorter than they say"):
        list(spdy.Decoder().feed(frame))
