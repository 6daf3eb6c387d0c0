"""The keeper: ``python -m meshdojo.embedded.keeper NAME STATE tied|free PIDFD HELD…``.

Starts the cluster process again when it dies unasked; `keeping` says how the two belong together. PIDFD is an inherited
descriptor of the cluster process; HELD are those that it holds for the next one: the listening socket and both ends of
the lifeline. Standard input is what a tied cluster is tied to; at its end the keeper ends as well.

It lives as long as the cluster and does nothing: hence no imports but the smallest (some 6 MB in all).
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence

# A cluster process that dies before it is ready is tried again after a while, each time a longer one.
FIRST_DELAY_SECONDS = 0.25
MOST_FAILURES = 5
# One that dies often although it starts: something is wrong that starting does not mend.
MOST_REVIVALS, WITHIN_SECONDS = 60, 60.0


class Patience:
    """How long to wait before the next start, and when to give up. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._revivals: deque[float] = deque()

    def ready(self) -> None:
        """The last start was a success."""
        self._failures = 0

    def next_delay(self) -> float | None:
        """Seconds to wait before the next start; None: give up."""
        now = self._clock()
        while self._revivals and self._revivals[0] < now - WITHIN_SECONDS:
            self._revivals.popleft()
        if self._failures >= MOST_FAILURES or len(self._revivals) >= MOST_REVIVALS:
            return None
        delay = FIRST_DELAY_SECONDS * 2 ** (self._failures - 1) if self._failures else 0.0
        self._failures += 1
        self._revivals.append(now)
        return delay


class Keeper:
    """Watches one cluster process, and the ones that it starts in its place."""

    def __init__(self, name: str, state: str, watched: int, held: Sequence[int], *, tied: bool) -> None:
        self._name = name
        self._state = state
        self._watched = watched
        self._held = held
        self._tied = tied
        self._reports: int | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._patience = Patience()

    def run(self) -> None:
        """Until the environment is stopped, its tie ends, or there is no point in trying again."""
        while self._dies() and self._wanted():
            delay = self._patience.next_delay()
            if delay is None:
                self._say("the cluster process dies again and again: not started any more")
                return
            time.sleep(delay)
            self._revive()

    def _dies(self) -> bool:
        """Wait for the cluster process's end; False when the tie has ended."""
        poll = select.poll()
        poll.register(self._watched, select.POLLIN)
        if self._tied:
            poll.register(0, select.POLLIN)
        if self._reports is not None:
            poll.register(self._reports, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._reports in ready and self._reports is not None and not self._report():
                poll.unregister(self._reports)
                os.close(self._reports)
                self._reports = None
            if self._tied and 0 in ready:
                return False
            if self._watched in ready:
                os.close(self._watched)
                if self._child is not None:
                    self._child.wait()
                return True

    def _report(self) -> bool:
        """Read what the cluster process says; False at its end."""
        data = os.read(self._reports or 0, 65536)
        if b'"ready"' in data:
            self._patience.ready()
        return bool(data)

    def _wanted(self) -> bool:
        """Whether this is still the keeper: see `keeping`."""
        try:
            with open(os.path.join(self._state, "keeping.lock"), "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                with open(os.path.join(self._state, "keeper.json")) as file:
                    return bool(json.load(file)["pid"] == os.getpid())
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _revive(self) -> None:
        self._say("the cluster process ended unasked: started again")
        reading, writing = os.pipe()
        own = os.pidfd_open(os.getpid())
        self._child = subprocess.Popen(
            [
                *(sys.executable, "-m", "meshdojo.embedded", self._name, str(writing)),
                *("tied" if self._tied else "free", str(own), *map(str, self._held)),
            ],
            pass_fds=(writing, own, *self._held),
            start_new_session=True,
        )
        os.close(writing)
        os.close(own)
        if self._reports is not None:
            os.close(self._reports)
        self._reports = reading
        self._watched = os.pidfd_open(self._child.pid)

    def _say(self, text: str) -> None:
        sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} keeper: {text}\n")
        sys.stderr.flush()


def main() -> None:
    """The program."""
    name, state, tie, watched, *held = sys.argv[1:]
    Keeper(name, state, int(watched), [int(one) for one in held], tied=tie == "tied").run()


if __name__ == "__main__":
    main()
