"""Where a mesh runs. Nothing above this package knows which backend it is on; `open_backend` picks one by name."""

from __future__ import annotations

from meshdojo.backends.base import Backend, BackendError, Status
from meshdojo.backends.select import BACKENDS, open_backend

__all__ = ["BACKENDS", "Backend", "BackendError", "Status", "open_backend"]
