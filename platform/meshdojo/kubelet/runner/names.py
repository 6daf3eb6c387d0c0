"""Wraps name look-up: getaddrinfo, gethostbyname and their kin answer as the cluster's DNS does.

Names of the cluster are answered by the resolver (it knows the search domains); anything else is asked of the host.
Errors are the ones of the C library.
"""

from __future__ import annotations

import socket
import time
from typing import Any

from meshdojo.kubelet.runner import sockets
from meshdojo.kubelet.runner.pod import Pod

_getaddrinfo = socket.getaddrinfo
_gethostname = socket.gethostname
_gethostbyname_ex = socket.gethostbyname_ex
_gethostbyaddr = socket.gethostbyaddr


# Cluster DNS answers with a TTL of 5 s, which resolvers of programs keep; here it is shorter than any wait for it.
CACHE_SECONDS = 0.5
_CACHED_NAMES = 512


class _Names:
    """The pod, and the answers of the last moment: name -> (until, addresses)."""

    def __init__(self) -> None:
        self.pod: Pod | None = None
        self.cache: dict[str, tuple[float, list[str]]] = {}


_state = _Names()


def install() -> None:
    """Replace the functions of the `socket` module; they pass everything through until `activate`."""
    module: Any = socket
    module.getaddrinfo = _wrapped_getaddrinfo
    module.gethostbyname = _wrapped_gethostbyname
    module.gethostbyname_ex = _wrapped_gethostbyname_ex
    module.gethostbyaddr = _wrapped_gethostbyaddr
    module.gethostname = _wrapped_gethostname


def activate(pod: Pod) -> None:
    """From now on, names mean what they mean in `pod`."""
    _state.pod = pod
    _state.cache.clear()


def _wrapped_getaddrinfo(host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:
    pod = _state.pod
    name = host.decode("idna") if isinstance(host, bytes) else host
    if pod is None or (name is not None and _is_address(name)):
        return _getaddrinfo(host, port, family, type, proto, flags)
    if not name:
        name = "0.0.0.0" if flags & socket.AI_PASSIVE else "127.0.0.1"
        return _getaddrinfo(name, port, family, type, proto, flags)
    addresses = _addresses(pod, name)
    if addresses is None:
        return _getaddrinfo(host, port, family, type, proto, flags)
    if flags & socket.AI_NUMERICHOST:
        raise _unknown()
    if family == socket.AF_INET6:
        raise socket.gaierror(socket.EAI_NODATA, "No address associated with hostname")
    found = [entry for ip in addresses for entry in _getaddrinfo(ip, port, family, type, proto, flags)]
    if flags & socket.AI_CANONNAME:
        found = [(*entry[:3], name, entry[4]) for entry in found]
    return found


def _addresses(pod: Pod, name: str) -> list[str] | None:
    """The IPs of a name of the cluster; None when the host has to be asked. Raises gaierror for a name that is none."""
    plain = name.rstrip(".").lower()
    if plain == "localhost" or plain.endswith(".localhost"):
        return ["127.0.0.1"]
    if plain == pod.hostname.lower():
        return [pod.ip]
    until, known = _state.cache.get(name, (0.0, []))
    if time.monotonic() < until:
        return known
    try:
        answer = sockets.resolver().ask({"lookup": pod.namespace, "name": name})
    except OSError:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution") from None
    return _remembered(name, answer)


def _remembered(name: str, answer: dict[str, Any]) -> list[str] | None:
    if "external" in answer:
        return [str(entry[4][0]) for entry in _getaddrinfo(answer["external"], None, type=socket.SOCK_STREAM)]
    if answer.get("missing"):
        raise _unknown()
    addresses: list[str] | None = answer.get("addresses")
    if addresses:
        if len(_state.cache) >= _CACHED_NAMES:
            _state.cache.clear()
        _state.cache[name] = (time.monotonic() + CACHE_SECONDS, addresses)
    return addresses


def _unknown() -> socket.gaierror:
    return socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def _is_address(name: str) -> bool:
    return ":" in name or (name.count(".") == 3 and name.replace(".", "").isdigit())


def _wrapped_gethostbyname(hostname: str) -> str:
    return _wrapped_gethostbyname_ex(hostname)[2][0]


def _wrapped_gethostbyname_ex(hostname: str) -> tuple[str, list[str], list[str]]:
    pod = _state.pod
    if pod is None or _is_address(hostname):
        return _gethostbyname_ex(hostname)
    addresses = _addresses(pod, hostname)
    return _gethostbyname_ex(hostname) if addresses is None else (hostname, [], addresses)


def _wrapped_gethostbyaddr(ip_address: str) -> tuple[str, list[str], list[str]]:
    """The pod's own address or name is answered at once, as its /etc/hosts would."""
    pod = _state.pod
    if pod is None:
        return _gethostbyaddr(ip_address)
    if ip_address in (pod.ip, pod.hostname):
        return pod.hostname, [], [pod.ip]
    if ip_address.startswith("127."):
        return "localhost", [], [ip_address]
    return _gethostbyaddr(ip_address)


def _wrapped_gethostname() -> str:
    return _gethostname() if _state.pod is None or not _state.pod.hostname else _state.pod.hostname
