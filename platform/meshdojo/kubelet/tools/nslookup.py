"""``nslookup NAME``: what the cluster's DNS says to this pod, with busybox's words."""

from __future__ import annotations

import socket
import sys

SERVER = "10.96.0.10"  # where kubeadm puts the cluster's DNS; nothing listens there, the answers come from the resolver


def main(argv: list[str]) -> int:
    """Exit status: 1 for a name that does not exist."""
    names = [word for word in argv[1:] if not word.startswith("-")]
    if not names:
        print("Usage: nslookup [-type=QUERY_TYPE] HOST", file=sys.stderr)
        return 1
    print(f"Server:\t\t{SERVER}\nAddress:\t{SERVER}:53\n")
    try:
        found = socket.getaddrinfo(names[0], None, socket.AF_INET, socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
    except socket.gaierror:
        print(f"** server can't find {names[0]}: NXDOMAIN\n")
        return 1
    canonical = found[0][3] or names[0]
    for address in dict.fromkeys(entry[4][0] for entry in found):
        print(f"Name:\t{canonical}\nAddress: {address}")
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
