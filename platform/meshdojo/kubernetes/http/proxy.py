"""The proxy subresource of pods and services: HTTP through the API server to a port inside the cluster.

Source: https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import StreamingResponse

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.endpoints import ready_endpoints
from meshdojo.kubernetes.http.paths import ResourcePath
from meshdojo.kubernetes.node import Node

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

CONNECT_SECONDS = 30
# "", api, v1, namespaces, NAMESPACE, pods, NAME, proxy
_SEGMENTS_BEFORE_REST = 8
# Headers that concern one connection only, not the message. Source: RFC 9110 section 7.6.1.
_HOP_BY_HOP = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
# The credentials are the API server's, not the pod's; the host is the pod's own.
_NOT_FORWARDED = _HOP_BY_HOP | {"host", "authorization", "content-length"}


class Proxy:
    """Forwards requests to pods and services."""

    def __init__(self, api: Api, node: Node) -> None:
        self._api = api
        self._node = node
        self._session: ClientSession | None = None

    async def answer(self, request: Request, path: ResourcePath) -> StreamingResponse:
        """The pod's own answer. Raises StatusError 400, 404, 503."""
        scheme, name, port = _split(path.name)
        if path.plural == "pods":
            address, number = self._pod(path, name, port)
        else:
            address, number = self._service(path, name, port)
        try:
            host, real = self._node.transport(address, number)
        except ConnectionRefusedError as error:
            raise _unreachable(address, number, error) from None
        url = f"{scheme or 'http'}://{host}:{real}/{_rest(request)}"
        return await self._forward(request, url, f"{address}:{number}")

    def _pod(self, path: ResourcePath, name: str, port: str) -> tuple[str, int]:
        pod = self._api.registry.get(self._api.resource("pods"), name, path.namespace or "")
        address = pod.get("status", {}).get("podIP")
        if not address:
            raise errors.service_unavailable(f"address not allowed: pod {name} has no IP yet")
        return address, _number(port) if port else _first_port(pod)

    def _service(self, path: ResourcePath, name: str, port: str) -> tuple[str, int]:
        """A ready endpoint of the service's port; a port with a name must be asked for by it."""
        services = self._api.resource("services")
        service = self._api.registry.get(services, name, path.namespace or "")
        ports = service["spec"].get("ports") or []
        chosen = [entry for entry in ports if port in (entry.get("name", ""), str(entry["port"]))]
        if not port and len(ports) == 1 and not ports[0].get("name"):
            chosen = ports
        for entry in chosen:
            found = ready_endpoints(self._api.store, path.namespace or "", name, entry.get("name", ""))
            if found:
                return random.choice(found)
        raise errors.service_unavailable(f'no endpoints available for service "{name if not port else path.name}"')

    async def _forward(self, request: Request, url: str, shown: str) -> StreamingResponse:
        from aiohttp import ClientError, ClientSession, ClientTimeout
        from yarl import URL

        if self._session is None:
            timeout = ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
            self._session = ClientSession(timeout=timeout, auto_decompress=False)
        query = request.url.query
        target = URL(f"{url}?{query}" if query else url, encoded=True)
        headers = [(key, value) for key, value in request.headers.items() if key not in _NOT_FORWARDED]
        headers.append(("x-forwarded-uri", request.url.path))
        try:
            answer = await self._session.request(
                request.method,
                target,
                headers=headers,
                data=await request.body() or None,
                allow_redirects=False,
                ssl=False,
            )
        except (ClientError, OSError) as error:
            raise errors.service_unavailable(f"error trying to reach service: dial tcp {shown}: {error}") from None
        kept = {key: value for key, value in answer.headers.items() if key.lower() not in _HOP_BY_HOP}
        return StreamingResponse(_body(answer), answer.status, headers=kept)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


async def _body(answer: ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.content.iter_any():
            yield chunk
    finally:
        answer.close()


def _split(name: str) -> tuple[str, str, str]:
    """``[SCHEME:]NAME[:PORT]``. Raises StatusError 400."""
    match name.split(":"):
        case [only]:
            return "", only, ""
        case [first, port]:
            return "", first, port
        case ["http" | "https" | "" as scheme, middle, port]:
            return scheme, middle, port
    raise errors.bad_request(f'invalid service request "{name}"')


def _rest(request: Request) -> str:
    """The path behind ``/proxy/``, escaped as the client wrote it."""
    parts = request.scope["raw_path"].decode("latin-1").split("/", _SEGMENTS_BEFORE_REST)
    return str(parts[_SEGMENTS_BEFORE_REST]) if len(parts) > _SEGMENTS_BEFORE_REST else ""


def _number(port: str) -> int:
    if port.isdecimal() and 0 < int(port) < 2**16:
        return int(port)
    raise errors.bad_request(f'invalid pod request: "{port}" is not a port number (1-65535)')


def _first_port(pod: Object) -> int:
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or []:
            return int(port["containerPort"])
    return 80


def _unreachable(address: str, port: int, error: OSError) -> errors.StatusError:
    words = error.strerror or "connection refused"
    return errors.service_unavailable(f"error trying to reach service: dial tcp {address}:{port}: connect: {words}")
