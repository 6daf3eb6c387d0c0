"""Where ``meshdojo`` begins: before anything is imported that takes time, as Ctrl-C is heard from the first moment.

Until the command line is there, Ctrl-C just ends the process with the code that it always has.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

# console.EXIT_INTERRUPTED, which cannot be imported yet.
INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    before = signal.signal(signal.SIGINT, _leave)
    from meshdojo.cli.main import main as command_line

    signal.signal(signal.SIGINT, before)
    command_line()


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)
