"""The cluster process: ``python -m meshdojo.embedded ENVIRONMENT REPORT_FD tied|free [KEEPER_PIDFD HELD…]``.

Reports over the file descriptor as `lifecycle` describes; logs to standard error. A tied one stops when its standard
input ends, which is when the process that started it is gone. With a keeper's descriptors it was started by that
keeper, in the place of one that died, whose listening socket it takes over, and by whose lifeline its pods.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from meshdojo.course.errors import CourseError
from meshdojo.embedded import keeping, lifecycle
from meshdojo.embedded.cluster import Cluster
from meshdojo.embedded.environment import Environment
from meshdojo.embedded.errors import EmbeddedError
from meshdojo.kubelet.lifeline import Lifeline
from meshdojo.kubernetes.journal import JournalError

log = logging.getLogger("meshdojo.embedded")


@dataclass(frozen=True)
class Keeper:
    """Who has started this process: its pid with a pidfd of it, the listening socket and the lifeline that it holds."""

    process: tuple[int, int]
    listener: socket.socket
    lifeline: Lifeline


class Reporter:
    """Tells the process that waits for this one; does nothing once that is gone."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.set_inheritable(descriptor, False)

    def send(self, event: str, text: str = "") -> None:
        """Write one line of the report; see `lifecycle` for the events."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._descriptor, json.dumps({"event": event, "text": text}).encode() + b"\n")


async def serve(environment: Environment, ready: Callable[[], None], keeper: Keeper | None, *, tied: bool) -> None:
    """Run the cluster until SIGTERM or SIGINT, or the end of standard input. `ready` is called when it answers."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if tied:
        # Nothing is ever written there: readable means that it has ended.
        loop.add_reader(sys.stdin.fileno(), stopping.set)
    listener = environment.prepare(keeper.listener if keeper else None)
    lifeline = keeper.lifeline if keeper else Lifeline.make()
    kept = keeping.Kept(environment, listener, lifeline, tied=tied, keeper=keeper.process if keeper else None)
    async with Cluster(environment, listener, lifeline), kept:
        ready()
        log.info("ready: %s", environment.server)
        await stopping.wait()
        loop.remove_reader(sys.stdin.fileno())
        log.info("stopping")


def main() -> int:
    """Returns the exit code: 0 after an orderly stop, 1 when it could not start (the reason is reported)."""
    name, descriptor, tie, *keeper = sys.argv[1:]
    reporter = Reporter(int(descriptor))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # It would log every exec with its whole command line.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        _run(Environment.named(name), reporter, tied=tie == "tied", inherited=[int(one) for one in keeper])
    except (EmbeddedError, CourseError, JournalError) as error:
        log.error("%s", error)
        reporter.send("failed", str(error))
        return 1
    return 0


def _run(environment: Environment, reporter: Reporter, *, tied: bool, inherited: list[int]) -> None:
    with ExitStack() as start:
        keeper = None
        if inherited:
            start.enter_context(lifecycle.starting(environment))
            pid = keeping.begin(environment)
            if pid is None:
                log.info("stopped, or started by somebody else, meanwhile: nothing to do")
                return
            watched, listener, *lifeline = inherited
            os.set_inheritable(listener, False)
            keeper = Keeper((pid, watched), socket.socket(fileno=listener), Lifeline.take(*lifeline))

        def ready() -> None:
            start.close()
            reporter.send("ready")

        asyncio.run(serve(environment, ready, keeper, tied=tied))


if __name__ == "__main__":
    sys.exit(main())
