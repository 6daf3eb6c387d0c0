"""From nothing to an answering API, and to Istio with the fleet and every sidecar ready; in seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass

from meshdojo.backends.base import Backend
from meshdojo.validation.setup import silent, start_state


@dataclass(frozen=True)
class Startup:
    """Seconds since the start until the API answers, and until Istio, the fleet and every sidecar are ready."""

    api: float
    fleet: float


async def start_up(backend: Backend) -> Startup:
    """Start `backend`, which must be down and without state; images count as cached (loaded outside the clock)."""
    began = time.perf_counter()
    await backend.start(silent)
    api = time.perf_counter() - began
    await backend.ensure_istio(silent)
    paused = time.perf_counter()
    await backend.ensure_images(silent)
    began += time.perf_counter() - paused
    await start_state(backend)
    return Startup(api, time.perf_counter() - began)
