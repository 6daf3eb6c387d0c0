"""Wraps TCP sockets: connect, connect_ex, bind, getsockname, getpeername (docs/architecture.md, "Pod networking").

The methods of `socket.socket` itself are replaced, so that every subclass (TLS), asyncio and all libraries that use
Python's sockets follow. UDP and Unix sockets are left alone. What a program sees are the addresses that it would see
in a real pod: errors are the kernel's, a bound socket says the address that was asked for.
"""

from __future__ import annotations

import _socket
import errno
import os
import socket
from collections import OrderedDict
from typing import Any
from weakref import WeakKeyDictionary

from meshdojo.kubelet.runner.pod import Pod
from meshdojo.kubelet.runner.proxy_protocol import header
from meshdojo.kubelet.runner.resolving import ResolverClient
from meshdojo.network import mapped_port, original_port

_Raw = _socket.socket
OUTBOUND_PORT = 15001
ADMIN_PORT = 15000
# The ports that a sidecar serves for its own pod: below 15100 the mesh has them to itself.
SIDECAR_PORTS = range(15000, 15100)
# A handshake on loopback takes microseconds; whoever needs seconds hangs.
HANDSHAKE_SECONDS = 5.0
_IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h; named in Python's socket module only since 3.12
_REMEMBERED_PEERS = 16384

Address = tuple[str, int]


class _Sockets:
    """The pod, and what the program asked for where the kernel would answer something else."""

    def __init__(self) -> None:
        self.pod: Pod | None = None
        self.resolver: ResolverClient | None = None
        self.bound: WeakKeyDictionary[socket.socket, str] = WeakKeyDictionary()
        self.connecting: WeakKeyDictionary[socket.socket, tuple[Address, Address]] = WeakKeyDictionary()
        self.peers: OrderedDict[tuple[Any, Any], Address] = OrderedDict()


_state = _Sockets()


def install() -> None:
    """Replace the methods of `socket.socket`; they pass everything through until `activate`."""
    wrapped: Any = socket.socket
    wrapped.connect = _connect
    wrapped.connect_ex = _connect_ex
    wrapped.bind = _bind
    wrapped.getsockname = _getsockname
    wrapped.getpeername = _getpeername
    wrapped.setsockopt = _setsockopt


def activate(pod: Pod) -> None:
    """From now on, sockets are those of `pod`."""
    _state.pod = pod
    _state.resolver = ResolverClient(pod.resolver)
    os.register_at_fork(after_in_child=_state.resolver.after_fork)


def resolver() -> ResolverClient:
    """The connection to the resolver. Only after `activate`."""
    assert _state.resolver is not None
    return _state.resolver


def _pod_of(sock: socket.socket) -> Pod | None:
    """The pod if `sock` is one that is wrapped."""
    if _state.pod is None or sock.type != socket.SOCK_STREAM:
        return None
    return _state.pod if sock.family in (socket.AF_INET, socket.AF_INET6) else None


def _connect(self: socket.socket, address: Any) -> None:
    pod = _pod_of(self)
    if pod is None or not isinstance(address, tuple):
        return _Raw.connect(self, address)
    pending = _state.connecting.pop(self, None)
    if pending is not None and pending[0] == address[:2]:
        return _Raw.connect(self, _native(self, pending[1]))  # the program asks how its attempt goes
    target = (_numeric(address[0]), int(address[1]))
    _state.bound.pop(self, None)
    if _is_local(pod, target[0]):
        _connect_local(self, pod, target)
    elif pod.sidecar and pod.redirection.catches(*target):
        _connect_through_sidecar(self, pod, target)
    else:
        _connect_directly(self, pod, target, address[:2])
    return None


def _connect_ex(self: socket.socket, address: Any) -> int:
    if _pod_of(self) is None:
        return _Raw.connect_ex(self, address)
    try:
        self.connect(address)
    except socket.gaierror:
        raise
    except OSError as error:
        return error.errno or errno.EAGAIN
    return 0


def _numeric(host: str) -> str:
    """`host` as an IP address; an IPv4 address inside an IPv6 one is unwrapped."""
    if host.lower().startswith("::ffff:") and "." in host:
        host = host[7:]
    if host.replace(".", "").isdigit() and host.count(".") == 3:
        return host
    if host == "":
        return "127.0.0.1"
    return str(socket.getaddrinfo(host, None, 0, socket.SOCK_STREAM)[0][4][0])


def _is_local(pod: Pod, ip: str) -> bool:
    if ip in (pod.ip, pod.twin, "0.0.0.0", "::", "::1"):
        return True
    return ip.startswith("127.") and not pod.is_pod(ip) and not pod.is_service(ip)


def _connect_local(sock: socket.socket, pod: Pod, target: Address) -> None:
    """To this pod itself, past the sidecar, as iptables leaves traffic of a pod to itself alone."""
    if target[1] == ADMIN_PORT and os.path.exists(pod.admin):
        _become_unix(sock, pod.admin)
        return
    addresses = [pod.twin, pod.ip]
    if pod.sidecar and target[1] not in SIDECAR_PORTS and pod.redirection.takes(target[1]):
        addresses = [pod.twin]
    elif target[0] == pod.ip and not pod.sidecar:
        addresses = [pod.ip]
    timeout = sock.gettimeout()
    sock.settimeout(HANDSHAKE_SECONDS)
    try:
        for ip in addresses:
            try:
                _attempt(sock, (ip, mapped_port(target[1])))
                break
            except ConnectionRefusedError:
                if ip == addresses[-1]:
                    raise
    finally:
        sock.settimeout(timeout)
    _remember(sock, target)


def _become_unix(sock: socket.socket, path: str) -> None:
    """Put a connection to a Unix socket in the place of `sock`: Envoy's admin interface has no TCP port here."""
    connection = _Raw(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
        os.dup2(connection.fileno(), sock.fileno(), inheritable=False)
    finally:
        connection.close()
    sock.settimeout(sock.gettimeout())


def _setsockopt(self: socket.socket, *arguments: Any) -> None:
    """Options of TCP mean nothing to a Unix socket that took its place."""
    try:
        _Raw.setsockopt(self, *arguments)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP or _pod_of(self) is None:
            raise


def _attempt(sock: socket.socket, address: Address) -> None:
    try:
        _Raw.connect(sock, _native(sock, address))
    except ConnectionAbortedError:  # the kernel's last word on the attempt before
        _Raw.connect(sock, _native(sock, address))


def _connect_through_sidecar(sock: socket.socket, pod: Pod, target: Address) -> None:
    timeout = sock.gettimeout()
    sock.settimeout(HANDSHAKE_SECONDS)
    try:
        _leave_from(sock, pod)
        _Raw.connect(sock, _native(sock, (pod.twin, OUTBOUND_PORT)))
        _Raw.sendall(sock, header((pod.ip, _Raw.getsockname(sock)[1]), target))
    except TimeoutError:
        raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
    finally:
        sock.settimeout(timeout)
    _remember(sock, target)


def _connect_directly(sock: socket.socket, pod: Pod, target: Address, asked: Any) -> None:
    real = target
    if pod.is_service(target[0]):
        real = _endpoint(pod, target)
    elif pod.is_pod(target[0]):
        real = (target[0], mapped_port(target[1]))
    if real[0].startswith("127."):
        _leave_from(sock, pod)
    try:
        _Raw.connect(sock, _native(sock, real))
    except BlockingIOError:
        _state.connecting[sock] = (asked, real)
        _remember(sock, target, real)
        raise
    _remember(sock, target, real)


def _endpoint(pod: Pod, target: Address) -> Address:
    """The endpoint that serves a ClusterIP for this connection."""
    answer = resolver().ask({"connect": pod.ip, "address": target[0], "port": target[1]})
    if "error" in answer:
        code = getattr(errno, answer["error"], errno.ECONNREFUSED)
        raise OSError(code, os.strerror(code))
    return str(answer["address"]), int(answer["port"])


def _leave_from(sock: socket.socket, pod: Pod) -> None:
    """Let the connection come from the pod's address. The port is chosen at connect, so that many may share it."""
    if sock.family == socket.AF_INET and _Raw.getsockname(sock) == ("0.0.0.0", 0):
        sock.setsockopt(socket.SOL_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        _Raw.bind(sock, (pod.ip, 0))


def _native(sock: socket.socket, address: Address) -> Any:
    """`address` in the family of `sock`."""
    if sock.family != socket.AF_INET6 or ":" in address[0]:
        return address
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return (f"::ffff:{address[0]}", address[1])


def _remember(sock: socket.socket, target: Address, real: Address | None = None) -> None:
    """Keep what the program connected to, for `getpeername` (also of a TLS socket made from this one)."""
    try:
        peer = real or _Raw.getpeername(sock)[:2]
        _state.peers[_Raw.getsockname(sock)[:2], peer] = target
    except OSError:
        return  # already closed by the other side
    if len(_state.peers) > _REMEMBERED_PEERS:
        _state.peers.popitem(last=False)


def _bind(self: socket.socket, address: Any) -> None:
    pod = _pod_of(self)
    if pod is None or not isinstance(address, tuple):
        return _Raw.bind(self, address)
    host, port = str(address[0]), int(address[1])
    ip = "0.0.0.0" if host in ("", "0.0.0.0", "::") else _numeric(host)
    _Raw.bind(self, _native(self, (_serving_address(pod, ip, port), mapped_port(port) if port else 0)))
    _state.bound[self] = pod.ip if ip == pod.ip else host or "0.0.0.0"
    return None


def _serving_address(pod: Pod, ip: str, port: int) -> str:
    if ip in ("0.0.0.0", pod.ip):
        return pod.served(port)
    if _is_local(pod, ip):
        return pod.twin  # other pods do not reach what listens on localhost only
    raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))


def _getsockname(self: socket.socket) -> Any:
    real = _Raw.getsockname(self)
    pod = _pod_of(self)
    if pod is None:
        return real
    if isinstance(real, str):  # see _become_unix
        return ("127.0.0.1", 0)
    host, port = _plain(real[0]), original_port(real[1])
    asked = _state.bound.get(self)
    shown = asked if asked is not None else pod.ip if host == pod.twin else host
    return (shown, port, *real[2:])


def _getpeername(self: socket.socket) -> Any:
    real = _Raw.getpeername(self)
    if _pod_of(self) is None:
        return real
    if isinstance(real, str):
        return ("127.0.0.1", ADMIN_PORT)
    peer = (_plain(real[0]), real[1])
    target = _state.peers.get((_Raw.getsockname(self)[:2], peer)) or _state.peers.get(
        (_Raw.getsockname(self)[:2], real[:2])
    )
    return (*target, *real[2:]) if target is not None else real


def _plain(ip: str) -> str:
    return ip[7:] if ip.startswith("::ffff:") else ip
