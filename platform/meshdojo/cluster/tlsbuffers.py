"""How much memory a TLS connection takes: asyncio gives each a reading buffer of 256 kB, whatever it is for.

A cluster has a connection for each watch, and most say nothing most of the time: a thousand of them took 320 MB, which
glibc then kept. A TLS record has 16 kB at most. Source: CPython's Lib/asyncio/sslproto.py (`SSLProtocol.max_size`).
"""

from __future__ import annotations

from asyncio import sslproto

BYTES = 32 * 1024


def shrink() -> None:
    """From now on the TLS connections of this process have small buffers. What is large is read in more pieces."""
    if hasattr(sslproto.SSLProtocol, "max_size"):  # no public name: without it they are as large as they were
        sslproto.SSLProtocol.max_size = BYTES
