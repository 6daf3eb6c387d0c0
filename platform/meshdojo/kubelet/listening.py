"""Which local TCP addresses listen, asked of the kernel by netlink (sock_diag(7)); any user may ask.

/proc/net/tcp tells the same, but lists every closed connection, too, of which a load test leaves thousands.
"""

from __future__ import annotations

import socket
import struct

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST_DUMP = 0x301
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_LISTEN = 1 << 10  # linux/tcp_states.h
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI48x")  # inet_diag_req_v2: family, protocol, ext, states, id
_ANSWER = struct.Struct("!4xHH4s")  # inet_diag_msg: family..retrans, source port, destination port, source address
_BUFFER = 256 * 1024


def listening() -> set[tuple[str, int]] | None:
    """(IPv4 address, port) of every listening TCP socket of this network; None where the kernel does not tell."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as connection:
            connection.settimeout(1)
            request = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, _LISTEN)
            head = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, 1, 0)
            connection.send(head + request)
            return _answers(connection)
    except (OSError, AttributeError):
        return None


def _answers(connection: socket.socket) -> set[tuple[str, int]] | None:
    found: set[tuple[str, int]] = set()
    while True:
        data = connection.recv(_BUFFER)
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, _, _, _ = _HEADER.unpack_from(data, offset)
            if kind == _NLMSG_DONE:
                return found
            if kind == _NLMSG_ERROR:
                return None
            port, _, address = _ANSWER.unpack_from(data, offset + _HEADER.size)
            found.add((socket.inet_ntoa(address), port))
            offset += (length + 3) & ~3
