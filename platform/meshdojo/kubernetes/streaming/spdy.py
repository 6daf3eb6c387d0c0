"""SPDY/3.1 frames, as far as kubectl's port-forward speaks it through a WebSocket.

Source: SPDY protocol, draft 3.1 (the Chromium project). Pure bytes in, frames out; no sockets. Flow control is left
out, as in the client's own library.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

VERSION = 3
FLAG_FIN = 0x01
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
_CONTROL = 0x8000
_MASK = 0x7FFFFFFF
_HEADER_BYTES = 8
MAX_FRAME_BYTES = 1 << 24

# The dictionary that both sides prime zlib with: names with their length in four bytes, then plain text.
_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_CODES = (
    "100 101 201 202 205 206 300 302 303 304 305 306 307 402 405 406 407 408 409 410 411 412 413 414 415 416 417 502 "
    "504 505"
).replace(" ", "")
_PHRASES = (
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
_NAMES = [word.replace("_", " ") for word in _WORDS.split()]
DICTIONARY = b"".join(struct.pack(">I", len(name)) + name.encode() for name in _NAMES) + (_CODES + _PHRASES).encode()


class SPDYError(Exception):
    """The peer sent something that is no SPDY/3.1."""


@dataclass(frozen=True)
class Frame:
    """A frame. `kind` is a control type, None for data; `payload` is what follows the eight bytes of the header."""

    kind: int | None
    stream: int
    flags: int
    payload: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def fin(self) -> bool:
        """The last frame of its stream in this direction."""
        return bool(self.flags & FLAG_FIN)


class Decoder:
    """Takes slices of one byte stream and gives its frames. Header compression has state across frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes. Raises SPDYError."""
        self._buffer += data
        while len(self._buffer) >= _HEADER_BYTES:
            first, second = struct.unpack_from(">II", self._buffer)
            size = second & 0xFFFFFF
            if len(self._buffer) < _HEADER_BYTES + size:
                return
            payload = bytes(self._buffer[_HEADER_BYTES : _HEADER_BYTES + size])
            del self._buffer[: _HEADER_BYTES + size]
            yield self._frame(first, second >> 24, payload)

    def _frame(self, first: int, flags: int, payload: bytes) -> Frame:
        if not first >> 31:
            return Frame(None, first, flags, payload)
        version, kind = (first >> 16) & 0x7FFF, first & 0xFFFF
        if version != VERSION:
            raise SPDYError(f"SPDY version {version}: only {VERSION} is understood")
        stream = struct.unpack_from(">I", payload)[0] & _MASK if len(payload) >= 4 else 0
        headers = self._headers(payload[10:]) if kind == SYN_STREAM else {}
        return Frame(kind, stream, flags, payload, headers)

    def _headers(self, compressed: bytes) -> dict[str, str]:
        try:
            return _read_headers(self._inflate.decompress(compressed))
        except (zlib.error, struct.error, UnicodeDecodeError) as error:
            raise SPDYError(f"headers cannot be read: {error}") from None


def _read_headers(block: bytes) -> dict[str, str]:
    (count,) = struct.unpack_from(">I", block)
    position, headers = 4, {}
    for _ in range(count):
        name, position = _read_text(block, position)
        value, position = _read_text(block, position)
        headers[name.lower()] = value
    return headers


def _read_text(block: bytes, position: int) -> tuple[str, int]:
    (size,) = struct.unpack_from(">I", block, position)
    start = position + 4
    if len(block) < start + size:
        raise SPDYError("headers are shorter than they say")
    return block[start : start + size].decode(), start + size


class Encoder:
    """Makes the bytes of frames. Header compression has state across frames."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def syn_stream(self, stream: int, headers: dict[str, str], *, fin: bool = False) -> bytes:
        """SYN_STREAM: opens a stream (what a client sends)."""
        body = struct.pack(">IIH", stream, 0, 0) + self._compressed(headers)
        return _control(SYN_STREAM, FLAG_FIN if fin else 0, body)

    def syn_reply(self, stream: int) -> bytes:
        """SYN_REPLY without headers: accepts a stream."""
        return _control(SYN_REPLY, 0, struct.pack(">I", stream) + self._compressed({}))

    def _compressed(self, headers: dict[str, str]) -> bytes:
        block = struct.pack(">I", len(headers))
        for text in (part for pair in headers.items() for part in pair):
            block += struct.pack(">I", len(text.encode())) + text.encode()
        return self._deflate.compress(block) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def data(stream: int, payload: bytes, *, fin: bool = False) -> bytes:
    """A data frame; `fin` closes this direction of the stream."""
    flags = FLAG_FIN if fin else 0
    return struct.pack(">II", stream & _MASK, flags << 24 | len(payload)) + payload


def ping(payload: bytes) -> bytes:
    """PING: the answer to a PING with this payload."""
    return _control(PING, 0, payload)


def reset(stream: int, status: int) -> bytes:
    """RST_STREAM: ends a stream at once. Status 3 is "refused", 5 "cancelled"."""
    return _control(RST_STREAM, 0, struct.pack(">II", stream, status))


def _control(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack(">HHI", _CONTROL | VERSION, kind, flags << 24 | len(body)) + body
