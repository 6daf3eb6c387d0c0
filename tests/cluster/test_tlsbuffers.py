from __future__ import annotations

import asyncio
import ssl

import pytest

from meshdojo.cluster import tlsbuffers


def test_a_tls_connection_takes_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.sslproto.SSLProtocol, "max_size", asyncio.sslproto.SSLProtocol.max_size)
    tlsbuffers.shrink()

    async def scenario() -> int:
        loop = asyncio.get_running_loop()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        protocol = asyncio.sslproto.SSLProtocol(loop, asyncio.Protocol(), context, loop.create_future())
        try:
            return len(protocol.get_buffer(256 * 1024))
        finally:
            protocol._app_transport.abort()

    assert asyncio.run(scenario()) == tlsbuffers.BYTES
