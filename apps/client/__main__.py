"""The command line: ``python -m client``. Sleeps until it is asked to end.

Not ``sleep infinity``: that would be the container's first process, which the kernel sends no signal that it has no
handler for, so that every deletion of the pod would take its whole grace period.
"""

from __future__ import annotations

import signal

ENDINGS = {signal.SIGTERM, signal.SIGINT}


def main() -> None:
    # Blocked first: a signal that comes before the wait is then waited for, and not missed.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    print("waiting; try: kubectl exec deploy/client -- curl -sS http://SERVICE:PORT/", flush=True)
    signal.sigwait(ENDINGS)


if __name__ == "__main__":
    main()
