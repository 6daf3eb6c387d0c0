"""exec, attach, port-forward and logs: the subresources of pods that are streams.

exec, attach and port-forward are WebSockets; the server must let the subprotocol ``SPDY/3.1+portforward.k8s.io`` pass
(uvicorn with ``ws="wsproto"``). Whatever can be refused before the upgrade is answered with an HTTP status and a
Status object, on the plain HTTP routes as well: kubectl falls back to them when an upgrade fails and prints what they
answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import orjson
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from meshdojo.cluster.errors import StatusError
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.node import Node
from meshdojo.kubernetes.streaming import commands, forwarding
from meshdojo.kubernetes.streaming.channels import Channels
from meshdojo.kubernetes.streaming.logs import logs
from meshdojo.kubernetes.streaming.pods import GetPod, container_of, require_node

__all__ = ["GetPod", "routes"]

_POD = "/api/v1/namespaces/{namespace}/pods/{name}"

# What is left to do once the WebSocket is accepted.
Session = Callable[[Channels], Awaitable[None]]
# Checks the request and returns the subprotocols it may use, and the session for the one that was chosen.
Prepare = Callable[[HTTPConnection], Awaitable[tuple[Sequence[str], Callable[[str], Session]]]]


def routes(node: Node, get_pod: GetPod) -> list[BaseRoute]:
    """The routes of all four. `get_pod(namespace, name)` raises StatusError 404; authorization is the caller's."""
    streams = _Streams(node, get_pod)
    found: list[BaseRoute] = [Route(f"{_POD}/log", _refusing(partial(logs, node=node, get_pod=get_pod)))]
    for name, prepare in (
        ("exec", streams.exec),
        ("attach", streams.attach),
        ("portforward", streams.port_forward),
    ):
        found.append(WebSocketRoute(f"{_POD}/{name}", partial(_upgrade, prepare=prepare)))
        found.append(Route(f"{_POD}/{name}", _refusing(partial(_without_upgrade, prepare=prepare)), methods=_METHODS))
    return found


_METHODS = ["GET", "POST"]


class _Streams:
    def __init__(self, node: Node, get_pod: GetPod) -> None:
        self._node = node
        self._get_pod = get_pod

    async def exec(self, connection: HTTPConnection) -> tuple[Sequence[str], Callable[[str], Session]]:
        namespace, name, container = await self._container(connection)
        options = commands.StreamOptions.from_query(connection.query_params, needs_command=True)
        start = partial(
            self._node.exec, namespace, name, container, options.command, stdin=options.stdin, tty=options.tty
        )
        return commands.PROTOCOLS, lambda _: partial(commands.serve, options=options, start=start, owned=True)

    async def attach(self, connection: HTTPConnection) -> tuple[Sequence[str], Callable[[str], Session]]:
        namespace, name, container = await self._container(connection)
        options = commands.StreamOptions.from_query(connection.query_params, needs_command=False)
        start = partial(self._node.attach, namespace, name, container, stdin=options.stdin, tty=options.tty)
        return commands.PROTOCOLS, lambda _: partial(commands.serve, options=options, start=start, owned=False)

    async def port_forward(self, connection: HTTPConnection) -> tuple[Sequence[str], Callable[[str], Session]]:
        namespace, name = connection.path_params["namespace"], connection.path_params["name"]
        pod = await self._get_pod(namespace, name)
        require_node(pod)
        ports = _ports(connection)
        connect = partial(self._node.connect, namespace, name)

        def session(protocol: str) -> Session:
            if protocol == forwarding.TUNNEL:
                return lambda channels: forwarding.Tunnel(channels, connect, name).serve()
            return lambda channels: forwarding.PortChannels(channels, connect, ports).serve()

        return forwarding.PROTOCOLS, session

    async def _container(self, connection: HTTPConnection) -> tuple[str, str, str]:
        namespace, name = connection.path_params["namespace"], connection.path_params["name"]
        pod = await self._get_pod(namespace, name)
        container = container_of(pod, connection.query_params.get("container", ""))
        require_node(pod)
        return namespace, name, container


def _ports(connection: HTTPConnection) -> list[int]:
    texts = [text for value in connection.query_params.getlist("ports") for text in value.split(",")]
    for text in texts:
        if not text.isdecimal() or not 0 < int(text) < 65536:
            raise errors.bad_request(f'port "{text}" must be a number from 1 to 65535')
    return [int(text) for text in texts]


async def _upgrade(websocket: WebSocket, prepare: Prepare) -> None:
    try:
        protocols, session = await prepare(websocket)
        offered = websocket.scope.get("subprotocols") or []
        protocol = next((known for known in protocols if known in offered), None)
        if protocol is None:
            raise errors.bad_request(f"none of the offered protocols is known: offered {offered}, known {protocols}")
    except StatusError as error:
        await websocket.send_denial_response(_failure(error))
        return
    await websocket.accept(subprotocol=protocol)
    await session(protocol)(Channels(websocket))


async def _without_upgrade(request: Request, prepare: Prepare) -> Response:
    """A plain request, or one that wants to upgrade to SPDY, which ASGI cannot."""
    await prepare(request)
    raise errors.bad_request("Upgrade request required")


def _refusing(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The handler, with StatusErrors as answers."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except StatusError as error:
            return _failure(error)

    return answer


def _failure(error: StatusError) -> Response:
    return Response(orjson.dumps(error.status()), status_code=error.code, media_type="application/json")
