"""``python -m meshdojo.kubelet.runner -m MODULE ARGUMENTS``: a program of a pod, started cold.

For Python programs that something else in the pod starts (a shell, say): the ``python`` on a pod's PATH is this.
"""

from __future__ import annotations

import os
import sys

from meshdojo.kubelet import runner
from meshdojo.kubelet.runner.programs import parse, run


def main() -> int:
    """Exit status of the program."""
    program = parse(["python", *sys.argv[1:]])
    if program is None:
        os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
    runner.install()
    runner.activate()
    return run(program, [])


if __name__ == "__main__":
    status = main()
    os._exit(status)
