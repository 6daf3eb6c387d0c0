"""``hostname``: prints the pod's name."""

from __future__ import annotations

import os
import socket
import sys


def main(argv: list[str]) -> int:
    """Exit status. ``-i`` prints the pod's IP."""
    if argv[1:] in (["-i"], ["-I"], ["--ip-address"]):
        print(os.environ.get("MESHDOJO_POD_IP", "127.0.0.1"))
    elif len(argv) > 1 and argv[1] not in ("-s", "-f", "--short", "--fqdn"):
        print("hostname: you must be root to change the host name", file=sys.stderr)
        return 1
    else:
        print(socket.gethostname())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
