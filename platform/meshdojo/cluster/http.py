"""`HTTPClient`: the `Client` interface over HTTPS, for the embedded server and for any real cluster.

    async with HTTPClient.from_kubeconfig(path) as client:
        pod = await client.get("pods", "web", "default")
        result = await client.exec("default", "web", ["cat", "/etc/hostname"])

Answers that are failures become `StatusError` with the server's own words, no answer becomes `Unreachable`.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import orjson

from meshdojo.cluster import forwarding, kubeconfig, streams, tlsbuffers
from meshdojo.cluster.client import Client, Object, ObjectList, PatchType, Propagation, WatchEvent
from meshdojo.cluster.discovery import Discovery
from meshdojo.cluster.errors import StatusError, Unreachable
from meshdojo.cluster.resources import Resource
from meshdojo.cluster.streams import ExecResult

if TYPE_CHECKING:  # aiohttp takes 0.15 s to import, which programs that only mention this class need not pay
    from aiohttp import ClientResponse, ClientSession

PATCH_TYPES: Mapping[PatchType, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
REQUEST_SECONDS = 60.0
CONNECT_SECONDS = 10.0
# client-go's reflectors ask for 5 to 10 minutes; the end of a watch is the moment dead connections are noticed.
WATCH_SECONDS = 400
# A connection that died with the network (a laptop that slept) says nothing at all, not even that the watch is over.
WATCH_SILENCE_SECONDS = WATCH_SECONDS + 20
NEW_KIND_SECONDS = 10.0
JSON = "application/json"
Query = dict[str, str]


class HTTPClient(Client):
    """A Kubernetes API over HTTPS. Use it as an async context manager, or `close` it."""

    def __init__(self, access: kubeconfig.Access, *, user_agent: str = "meshdojo") -> None:
        tlsbuffers.shrink()
        self.access = access
        self._user_agent = user_agent
        self._session: ClientSession | None = None
        self.discovery = Discovery(self._get_json)

    @classmethod
    def from_kubeconfig(cls, path: str | Path | None = None, context: str | None = None) -> Self:
        """The cluster of a kubeconfig (None: the one kubectl would use). Raises BadKubeconfig; sends nothing yet."""
        return cls(kubeconfig.load(path, context))

    @classmethod
    def in_cluster(cls, root: str = "") -> Self:
        """The cluster of the pod we run in, as its service account. Raises BadKubeconfig outside a pod."""
        return cls(kubeconfig.in_cluster(root))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; running watches end with Unreachable."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    # The Client interface

    async def get(self, resource: str, name: str, namespace: str | None = None, *, subresource: str = "") -> Object:
        return await self._call("GET", resource, namespace, name, subresource)

    async def list(
        self, resource: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> ObjectList:
        found = await self.discovery.resource(resource)
        query = _query(labelSelector=labels, fieldSelector=fields)
        body = await self._json("GET", found.path(namespace), query)
        # The items of a list leave out what the list says for all of them.
        stamp = {"apiVersion": found.api_version, "kind": found.kind}
        items = [{**stamp, **item} for item in body.get("items") or ()]
        return ObjectList(items, body["metadata"].get("resourceVersion", ""))

    async def create(
        self,
        resource: str,
        obj: Object,
        namespace: str | None = None,
        *,
        subresource: str = "",
        name: str = "",
        dry_run: bool = False,
    ) -> Object:
        """As `Client.create`. `dry_run`: what the object would become, with all admission, and nothing is stored."""
        target = namespace or obj.get("metadata", {}).get("namespace")
        query = _query(dryRun="All" if dry_run else "")
        return await self._call("POST", resource, target, name, subresource, query=query, body=obj)

    async def update(
        self, resource: str, obj: Object, namespace: str | None = None, *, subresource: str = ""
    ) -> Object:
        metadata = obj["metadata"]
        target = namespace or metadata.get("namespace")
        return await self._call("PUT", resource, target, metadata["name"], subresource, body=obj)

    async def patch(
        self,
        resource: str,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        type: PatchType = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
    ) -> Object:
        query = _query(fieldManager=field_manager, force="true" if force else "")
        return await self._call(
            "PATCH", resource, namespace, name, subresource, query=query, body=patch, content_type=PATCH_TYPES[type]
        )

    async def delete(
        self,
        resource: str,
        name: str,
        namespace: str | None = None,
        *,
        propagation: Propagation | None = None,
        grace_seconds: int | None = None,
        uid: str | None = None,
    ) -> Object:
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if propagation is not None:
            options["propagationPolicy"] = propagation
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        return await self._call("DELETE", resource, namespace, name, body=options)

    async def watch(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        since: str | None = None,
    ) -> AsyncGenerator[WatchEvent, None]:
        found = await self.discovery.resource(resource)
        query = _query(
            watch="true",
            allowWatchBookmarks="true",
            timeoutSeconds=str(WATCH_SECONDS),
            labelSelector=labels,
            fieldSelector=fields,
            resourceVersion=since or "",
        )
        path = found.path(namespace)
        async with self._response("GET", path, query, seconds=None, silence=WATCH_SILENCE_SECONDS) as response:
            async for line in _lines(response):
                yield _event(orjson.loads(line))

    # What only a server far away needs

    async def exec(
        self,
        namespace: str,
        pod: str,
        command: Sequence[str],
        container: str | None = None,
        stdin: bytes | None = None,
        *,
        seconds: float = 60.0,
    ) -> ExecResult:
        """Run `command` in a container (None: the pod's default one) and collect what it prints.

        A command that fails is no error: see `ExecResult.exit_code`. Raises StatusError when the pod or container
        is not there or the command cannot be started, Unreachable when it has not ended after `seconds`.
        """
        path = (await self.discovery.resource("pods")).path(namespace, pod, "exec")
        query = streams.exec_query(command, container, stdin is not None)
        what = f"{command[0]} in pod {namespace}/{pod}"
        with _connection_errors(self.access.server):
            try:
                async with asyncio.timeout(seconds):
                    return await streams.run(
                        await self._connected(), self._url(path), query, await self._headers(), stdin, self._why_refused
                    )
            except TimeoutError:
                raise Unreachable(f"{what} did not end within {seconds:g} s") from None

    async def pod_get(self, namespace: str, pod: str, port: int, path: str, *, seconds: float = 20.0) -> bytes:
        """The answer to ``GET path`` at a port of a pod, asked as if from the pod itself (its loopback).

        In a fraction of the time of an exec. Raises StatusError (of the API server, or the status of the pod's own
        answer when that is no 2xx), Unreachable when nothing answers there within `seconds`.
        """
        url = self._url((await self.discovery.resource("pods")).path(namespace, pod, "portforward"))

        async def why(status: int) -> StatusError:
            return await self._why_refused(url, [("ports", str(port))], status)

        with _connection_errors(self.access.server):
            try:
                async with asyncio.timeout(seconds):
                    return await forwarding.get(await self._connected(), url, await self._headers(), port, path, why)
            except TimeoutError:
                raise Unreachable(f"port {port} of pod {namespace}/{pod} did not answer in {seconds:g} s") from None

    async def logs(
        self,
        namespace: str,
        pod: str,
        container: str | None = None,
        *,
        previous: bool = False,
        tail_lines: int | None = None,
        since_seconds: int | None = None,
        timestamps: bool = False,
    ) -> str:
        """What a container has written so far. Bytes that are no UTF-8 are replaced."""
        query = _query(
            container=container or "",
            previous="true" if previous else "",
            timestamps="true" if timestamps else "",
            tailLines="" if tail_lines is None else str(tail_lines),
            sinceSeconds="" if since_seconds is None else str(since_seconds),
        )
        path = (await self.discovery.resource("pods")).path(namespace, pod, "log")
        return (await self._bytes("GET", path, query)).decode(errors="replace")

    async def follow_logs(
        self, namespace: str, pod: str, container: str | None = None, *, tail_lines: int | None = None
    ) -> AsyncIterator[bytes]:
        """The lines (without newline) as they are written, until the container ends or the iterator is closed."""
        tail = "" if tail_lines is None else str(tail_lines)
        query = _query(container=container or "", follow="true", tailLines=tail)
        path = (await self.discovery.resource("pods")).path(namespace, pod, "log")
        async with self._response("GET", path, query, seconds=None) as response:
            async for line in _lines(response):
                yield line

    async def raw(self, method: str, path: str, *, body: bytes | None = None, **query: str) -> bytes:
        """Any path of the API server, for instance a pod proxy (``/api/v1/namespaces/NS/pods/NAME:8080/proxy/``)."""
        return await self._bytes(method, path, query, body)

    async def version(self) -> str:
        """The server's version, such as ``v1.34.4``. The cheapest proof that a cluster answers and lets us in."""
        body = await self._json("GET", "/version", {})
        return str(body["gitVersion"])

    async def apply(
        self, manifests: Object | Iterable[Object], *, field_manager: str = "meshdojo", force: bool = True
    ) -> tuple[Object, ...]:
        """Make the cluster's objects as the manifests say, in their order: server-side apply.

        Kinds of a CRD that is among the manifests are waited for. Manifests of namespaced kinds without a namespace
        go to the kubeconfig's. Raises StatusError, its message starting with the object's kind and name.
        """
        listed = [manifests] if isinstance(manifests, dict) else [*manifests]
        brings_kinds = any(manifest.get("kind") == "CustomResourceDefinition" for manifest in listed)
        applied = []
        for manifest in listed:
            applied.append(await self._apply_one(manifest, field_manager, force, patient=brings_kinds))
        return tuple(applied)

    async def resource_of(self, manifest: Object) -> Resource:
        """The resource that serves a manifest's apiVersion and kind. Raises StatusError 404 for an unknown kind."""
        return await self.discovery.kind(manifest.get("apiVersion", ""), manifest.get("kind", ""))

    # Inside

    async def _apply_one(self, manifest: Object, field_manager: str, force: bool, *, patient: bool) -> Object:
        metadata = manifest.get("metadata", {})
        try:
            found = await self._patient_resource_of(manifest) if patient else await self.resource_of(manifest)
            path = found.path(metadata.get("namespace") or self.access.namespace, metadata["name"])
            query = _query(fieldManager=field_manager, force="true" if force else "false")
            return await self._json("PATCH", path, query, manifest, PATCH_TYPES["apply"])
        except StatusError as error:
            named = f"{manifest.get('kind')} {metadata.get('name')}: {error.message}"
            raise StatusError(error.code, error.reason, named, error.details) from error

    async def _patient_resource_of(self, manifest: Object) -> Resource:
        deadline = asyncio.get_running_loop().time() + NEW_KIND_SECONDS
        while True:
            try:
                return await self.resource_of(manifest)
            except StatusError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(0.1)  # discovery cannot be watched

    async def _call(
        self,
        method: str,
        resource: str,
        namespace: str | None,
        name: str = "",
        subresource: str = "",
        *,
        query: Query | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Object:
        found = await self.discovery.resource(resource)
        try:
            path = found.path(namespace, name, subresource)
            return await self._json(method, path, query or {}, body, content_type)
        except StatusError as error:
            if error.code == 404 and not error.details:  # not the object is missing, the path is
                self.discovery.forget(found.group)
            raise

    async def _get_json(self, path: str, accept: str = JSON) -> Object:
        async with self._response("GET", path, {}, accept=accept) as response:
            answer: Object = orjson.loads(await response.read())
            return answer

    async def _json(
        self, method: str, path: str, query: Query, body: Any = None, content_type: str = "application/json"
    ) -> Object:
        # Manifests are read from YAML, where `9090: …` has a number for a key; in JSON it is the string "9090".
        data = None if body is None else orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)
        answer: Object = orjson.loads(await self._bytes(method, path, query, data, content_type))
        return answer

    async def _bytes(
        self, method: str, path: str, query: Query, body: bytes | None = None, content_type: str = "application/json"
    ) -> bytes:
        async with self._response(method, path, query, body, content_type) as response:
            return await response.read()

    @asynccontextmanager
    async def _response(
        self,
        method: str,
        path: str,
        query: Query,
        body: bytes | None = None,
        content_type: str = "application/json",
        seconds: float | None = REQUEST_SECONDS,
        silence: float | None = None,
        accept: str = JSON,
    ) -> AsyncIterator[ClientResponse]:
        """The answer, once its status says success. A refused login is tried again if there may be a new token."""
        from aiohttp import ClientTimeout

        session = await self._connected()
        timeout = ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS, sock_read=silence)
        with _connection_errors(self.access.server):
            for last in (False, True):
                headers = {**await self._headers(), "Content-Type": content_type, "Accept": accept}
                async with session.request(
                    method,
                    self._url(path),
                    params=query,
                    data=body,
                    headers=headers,
                    timeout=timeout,
                    server_hostname=self.access.server_name,
                    proxy=self.access.proxy,
                ) as response:
                    if response.status == 401 and not last and self.access.credential.expire():
                        continue
                    if response.status >= 400:
                        raise _refusal(response.status, await response.read())
                    yield response
                    return

    async def _why_refused(self, url: str, query: Sequence[tuple[str, str]], status: int) -> StatusError:
        """Why an upgrade was refused: WebSocket clients never see the body, so the same is asked as a plain GET."""
        session = await self._connected()
        async with session.get(url, params=query, headers=await self._headers()) as response:
            if response.status == status:
                return _refusal(status, await response.read())
        return StatusError(status, "", f"the server refused to open a stream (HTTP status {status})")

    async def _headers(self) -> dict[str, str]:
        authorization = await self.access.credential.header()
        return {"Authorization": authorization} if authorization else {}

    def _url(self, path: str) -> str:
        return self.access.server + path

    async def _connected(self) -> ClientSession:
        if self._session is None:
            from aiohttp import ClientSession, TCPConnector

            # Each watch holds a connection, so the number is not limited.
            connector = TCPConnector(ssl=self.access.tls(), limit=0)
            headers = {"User-Agent": self._user_agent, "Accept": JSON}
            self._session = ClientSession(connector=connector, headers=headers, auto_decompress=True)
        return self._session


def _query(**entries: str) -> Query:
    return {name: value for name, value in entries.items() if value}


async def _lines(response: ClientResponse) -> AsyncIterator[bytes]:
    """The lines of a stream, of any length (StreamReader.readline has a limit), without their newline."""
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
    if rest:
        yield rest


def _event(body: dict[str, Any]) -> WatchEvent:
    if body["type"] == "ERROR":
        raise StatusError.from_status(body["object"], 500)
    return WatchEvent(body["type"], body["object"])


def _refusal(status: int, body: bytes) -> StatusError:
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError:
        decoded = None
    if isinstance(decoded, dict) and decoded.get("kind") == "Status":
        return StatusError.from_status(decoded, status)
    text = body[:500].decode(errors="replace").strip()
    reason = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound"}.get(status, "")
    return StatusError(status, reason, text or f"the server answered with HTTP status {status}")


class _connection_errors:  # noqa: N801  reads as a function where it is used
    """Turns what aiohttp raises when there is no answer into `Unreachable`."""

    def __init__(self, server: str) -> None:
        self._server = server

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        import aiohttp

        if isinstance(error, (aiohttp.ClientError, TimeoutError, ConnectionError)):
            raise Unreachable(f"the cluster at {self._server} does not answer: {_words(error)}") from error


def _words(error: BaseException) -> str:
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted ({error.certificate_error})"
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error
        known = reason.errno is not None and reason.errno > 0 and not isinstance(reason, ssl.SSLError)
        return os.strerror(reason.errno or 0) if known else (reason.strerror or str(reason))
    if isinstance(error, TimeoutError):
        return "timeout"
    return str(error) or type(error).__name__
