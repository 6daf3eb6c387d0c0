"""The ASGI application: who may ask, which handler answers, and that every failure is a Status."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meshdojo.kubernetes import errors, metrics
from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.auth.authorization import Access
from meshdojo.kubernetes.auth.impersonation import given_groups, impersonated, needed
from meshdojo.kubernetes.http.documents import Documents
from meshdojo.kubernetes.http.metrics import Metrics
from meshdojo.kubernetes.http.negotiation import MAX_BODY_BYTES
from meshdojo.kubernetes.http.paths import ResourcePath
from meshdojo.kubernetes.http.queries import flag
from meshdojo.kubernetes.http.resources import ResourceHandler
from meshdojo.kubernetes.http.responses import failure, for_people, not_found, pretty
from meshdojo.kubernetes.http.views import Views
from meshdojo.kubernetes.node import Node
from meshdojo.kubernetes.requests import ANONYMOUS, User

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from meshdojo.kubernetes.http.proxy import Proxy

log = logging.getLogger(__name__)

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_STREAMS = ("exec", "attach", "portforward", "log")


class App:
    """The API over ASGI. `close` ends its watches."""

    def __init__(self, api: Api, node: Node) -> None:
        self._api = api
        self._node = node
        self._documents = Documents(api.catalogue, api.signer)
        self._resources = ResourceHandler(api)
        self._metrics = Metrics(api, node)
        self._views = Views(api, self._documents.served)
        self._streaming: Starlette | None = None
        self._proxy: Proxy | None = None

    async def close(self) -> None:
        """End all watches, so that their connections can be closed, and the connections of proxied requests."""
        for stream in tuple(self._resources.streams):
            stream.close()
        if self._proxy is not None:
            await self._proxy.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand a connection on that streams into a pod."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        try:
            answer = await self._answer(scope, receive)
        except errors.StatusError as error:
            answer = failure(error)
        except ClientDisconnect:
            return
        except Exception:
            log.exception("%s %s failed", scope.get("method", scope["type"]), scope["path"])
            answer = failure(errors.internal("unexpected error in the API server; its log says more"))
        if scope["type"] == "websocket" and isinstance(answer, Response):
            await _refuse_websocket(answer, send)
            return
        if isinstance(answer, Response) and for_people(scope):
            answer = pretty(answer)
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> ASGIApp:
        user = self._user(scope)
        path = ResourcePath.parse(scope["path"])
        if path is None or not path.plural:
            self._authorize(Access(user, _VERBS.get(scope.get("method", "GET"), "get"), path=scope["path"]))
            return self._documents.answer(Request(scope, receive))
        verb = _verb(scope, path)
        self._authorize(_access(user, verb, path))
        if _streams_into_pod(path):
            return self._streams()
        return await self._handle(scope, receive, path, user, verb)

    async def _handle(self, scope: Scope, receive: Receive, path: ResourcePath, user: User, verb: str) -> ASGIApp:
        if path.group == metrics.GROUP:
            return await self._metrics.answer(Request(scope, receive), path, verb)
        viewed = self._views.of(path)
        if viewed is not None:
            return self._views.answer(Request(scope, receive), path, verb, viewed)
        if path.version not in self._api.catalogue.groups().get(path.group, []):
            if not path.group:
                raise errors.unknown_resource()
            return not_found()
        request = Request(scope, _limited(receive))
        if path.subresource == "proxy":
            return await self._proxying().answer(request, path)
        return await self._resources.handle(request, path, user, verb)

    def _user(self, scope: Scope) -> User:
        headers = scope["headers"]
        authorization = dict(headers).get(b"authorization", b"").decode("latin-1")
        user = self._api.authenticator.authenticate(authorization) or ANONYMOUS
        wanted = impersonated(headers)
        if wanted is None:
            return user
        for access in needed(user, wanted, given_groups(headers)):
            self._authorize(access)
        return wanted

    def _authorize(self, access: Access) -> None:
        decision = self._api.authorizer.authorize(access)
        if decision.allowed:
            return
        raise self._denied(access, decision.reason)

    def _denied(self, access: Access, reason: str) -> errors.StatusError:
        words = f'User "{access.user.name}" cannot {access.verb}'
        if access.path:
            return errors.StatusError(403, "Forbidden", f'forbidden: {words} path "{access.path}"', {})
        subresource = f"/{access.subresource}" if access.subresource else ""
        where = f'in the namespace "{access.namespace}"' if access.namespace else "at the cluster scope"
        words += f' resource "{access.resource}{subresource}" in API group "{access.group}" {where}'
        words = f"{words}: {reason}" if reason else words
        return errors.forbidden_resource(access.group, access.resource, access.name, words)

    def _proxying(self) -> Proxy:
        if self._proxy is None:
            from meshdojo.kubernetes.http.proxy import Proxy

            self._proxy = Proxy(self._api, self._node)
        return self._proxy

    def _streams(self) -> Starlette:
        """exec, attach, port-forward and logs; imported when the first of them is asked for."""
        if self._streaming is None:
            from starlette.applications import Starlette

            from meshdojo.kubernetes import streaming

            pods = self._api.resource("pods")
            routes = streaming.routes(self._node, lambda namespace, name: self._api.get(pods, name, namespace))
            self._streaming = Starlette(routes=routes)
        return self._streaming


def _verb(scope: Scope, path: ResourcePath) -> str:
    """Source: k8s.io/apiserver/pkg/endpoints/request/requestinfo.go."""
    method = scope.get("method", "GET")
    if method == "DELETE" and not path.name:
        return "deletecollection"
    if method not in ("GET", "HEAD"):
        return _VERBS.get(method, str(method).lower())
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    if not path.subresource and flag(query, "watch"):
        return "watch"
    return "get" if path.name else "list"


def _access(user: User, verb: str, path: ResourcePath) -> Access:
    return Access(user, verb, path.group, path.plural, path.subresource, path.namespace or "", path.name)


def _streams_into_pod(path: ResourcePath) -> bool:
    return (path.group, path.plural) == ("", "pods") and path.subresource in _STREAMS


def _limited(receive: Receive) -> Receive:
    """Refuses a body above the limit while it arrives."""
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            raise errors.too_large_body(MAX_BODY_BYTES)
        return message

    return limited


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"].removeprefix("lifespan.")
        await send({"type": f"lifespan.{kind}.complete"})
        if kind == "shutdown":
            return


async def _refuse_websocket(answer: Response, send: Send) -> None:
    """Refuse the handshake with an HTTP answer (ASGI's "Websocket Denial Response")."""
    await send({"type": "websocket.http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
    await send({"type": "websocket.http.response.body", "body": answer.body})
