"""How the samples that speak HTTP are served."""

from __future__ import annotations

import uvicorn
from starlette.types import ASGIApp


def serve(app: ASGIApp, port: int) -> None:
    """Serve until SIGTERM; requests under way are finished first. The event loop is asyncio's (never uvloop)."""
    uvicorn.run(
        app,
        host="0.0.0.0",
        port=port,
        loop="asyncio",
        http="httptools",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=5,
    )
