"""Runs the site until Ctrl-C."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import logging.handlers
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from meshdojo.errors import UserError
from meshdojo.web.app import create_app
from meshdojo.web.database import migrate
from meshdojo.web.pages.site import Site
from meshdojo.web.settings import Settings

LOG_BYTES = 2_000_000
BACKLOG = 128


class ServeError(UserError):
    """The site cannot start; the message says why and what to do."""


class Server(uvicorn.Server):
    """uvicorn, which ends the live streams at Ctrl-C: they would keep it waiting."""

    def __init__(self, app: FastAPI, ready: Callable[[], None]) -> None:
        # No access log: it would have the token of the first request in it.
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=3, server_header=False
        )
        super().__init__(config)
        self._site: Site = app.state.site
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's; then tells who waits that it listens."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    def stop(self) -> None:
        """End the streams and then the server; a second call does not wait for anybody."""
        self._site.hub.stop_streams()
        self.force_exit = self.should_exit
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM stop the server, and that is all: whoever called has things to put away as well.

        (uvicorn's own sends itself the signal once more when it has stopped.)
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


def serve(settings: Settings, ready: Callable[[], None], app: FastAPI | None = None) -> None:
    """Serve until Ctrl-C or SIGTERM, and return then.

    `ready` is called once the site answers: the moment to print `settings.entry_url`. Raises `ServeError` when the
    port is in use or not allowed, and what `create_app` raises. Details of errors go to ``site.log`` in the state
    directory, never to the terminal.
    """
    asyncio.run(serve_async(settings, ready, app))


async def serve_async(settings: Settings, ready: Callable[[], None], app: FastAPI | None = None) -> None:
    """`serve`, inside a running event loop."""
    settings.state_directory.mkdir(parents=True, exist_ok=True)
    listener = listen(settings.host, settings.port)
    try:
        log_to(settings.state_directory / "site.log")
        app = app or create_app(settings)
        # The app does it at startup too, but uvicorn would turn an error into an exit of the process.
        await migrate(app.state.engine)
        # What was made until now stays for good. Left among the rest it is gone through again with every full
        # collection, and each of those stops everybody for a third of a second when a room is full.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)
        server = Server(app, ready)
        await server.serve([listener])
    finally:
        listener.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `ServeError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ServeError(_why(host, port, error)) from error
    return listener


def _why(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use, perhaps by another meshdojo. Choose another: --port {port + 1}"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than you have. Choose one from 1024 on: --port 8484"
    return f"cannot listen on {host} port {port}: {error.strerror or error}"


def log_to(path: Path) -> None:
    """Send the logs of the site and of uvicorn to a file that cannot grow without bound."""
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for name in ("meshdojo", "uvicorn.error"):
        logger = logging.getLogger(name)
        for old in [old for old in logger.handlers if isinstance(old, logging.handlers.RotatingFileHandler)]:
            logger.removeHandler(old)
            old.close()
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
