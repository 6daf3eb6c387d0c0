"""Watches as a stream of JSON lines.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping

import orjson
from starlette.types import Receive, Scope, Send

from meshdojo.cluster.client import Object, WatchEvent
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.http.forms import metadata_only, table
from meshdojo.kubernetes.http.negotiation import Form
from meshdojo.kubernetes.http.queries import flag, number
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.watching import Watcher

BOOKMARK_SECONDS = 60
# A watch without timeoutSeconds ends after 30 to 60 minutes, so that clients spread out.
MIN_TIMEOUT_SECONDS = 1800
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class WatchStream:
    """An ASGI response that lasts until the client leaves, the time is up or the server stops.

    Raises StatusError 400, 422, 504 when it is made; a resourceVersion that is too old becomes an ERROR event.
    """

    def __init__(
        self,
        api: Api,
        resource: Resource,
        namespace: str | None,
        query: Mapping[str, str],
        form: Form,
        on_end: Callable[[WatchStream], None],
    ) -> None:
        self._resource = resource
        self._query = query
        self._form = form
        self._on_end = on_end
        self._initial_events = _wants_initial_events(query)
        self._bookmarks = flag(query, "allowWatchBookmarks")
        timeout = number(query, "timeoutSeconds")
        self._deadline = time.monotonic() + (timeout or MIN_TIMEOUT_SECONDS * (1 + random.random()))
        self._headers_sent = False
        self._too_old: errors.StatusError | None = None
        self._watcher = self._open(api, namespace)

    def _open(self, api: Api, namespace: str | None) -> Watcher | None:
        since = self._query.get("resourceVersion") or "0"
        fresh = since == "0" or self._initial_events
        try:
            return api.watcher(
                self._resource,
                namespace,
                labels=self._query.get("labelSelector", ""),
                fields=self._query.get("fieldSelector", ""),
                since=None if fresh else since,
            )
        except errors.StatusError as error:
            if error.code != errors.GONE:
                raise
            self._too_old = error
            return None

    def close(self) -> None:
        """End the stream."""
        if self._watcher is not None:
            self._watcher.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the end."""
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-cache, private")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        gone = asyncio.create_task(self._await_disconnect(receive))
        try:
            await self._send_events(send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except OSError:
            pass  # the client left while we were writing
        finally:
            gone.cancel()
            self.close()
            self._on_end(self)

    async def _await_disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.close()

    async def _send_events(self, send: Send) -> None:
        if self._watcher is None:
            assert self._too_old is not None
            await _send_event(send, "ERROR", self._too_old.status())
            return
        # An empty chunk takes the headers to the client even if nothing happens for a while.
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        for _ in range(self._watcher.initial):
            await self._send_change(send, await self._watcher.next(0))
        if self._initial_events and self._bookmarks:
            await self._send_bookmark(send, {INITIAL_EVENTS_END: "true"})
        while not self._watcher.ended and (left := self._deadline - time.monotonic()) > 0:
            event = await self._watcher.next(min(left, BOOKMARK_SECONDS))
            if event is not None:
                await self._send_change(send, event)
            elif self._bookmarks and not self._watcher.ended and time.monotonic() < self._deadline:
                await self._send_bookmark(send, {})

    async def _send_change(self, send: Send, event: WatchEvent | None) -> None:
        if event is not None:
            await _send_event(send, event.type, self._shown(event.object))

    def _shown(self, obj: Object) -> Object:
        if self._form == "Table":
            headers, self._headers_sent = not self._headers_sent, True
            return table(self._resource, [obj], obj["metadata"], self._query, headers=headers)
        return metadata_only(obj) if self._form else obj

    async def _send_bookmark(self, send: Send, annotations: dict[str, str]) -> None:
        assert self._watcher is not None
        metadata: Object = {"resourceVersion": str(self._watcher.revision)}
        if annotations:
            metadata["annotations"] = annotations
        bookmark: Object = {
            "kind": self._resource.kind,
            "apiVersion": self._resource.api_version,
            "metadata": metadata,
        }
        if self._form == "Table":
            bookmark = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "rows": []}
        elif self._form:
            bookmark = metadata_only(bookmark)
        await _send_event(send, "BOOKMARK", bookmark)


async def _send_event(send: Send, kind: str, obj: Object) -> None:
    body = orjson.dumps({"type": kind, "object": obj}) + b"\n"
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _wants_initial_events(query: Mapping[str, str]) -> bool:
    """Source: validation of ListOptions in k8s.io/apimachinery/pkg/apis/meta/internalversion/validation."""
    match = query.get("resourceVersionMatch", "")
    problem = None
    if "sendInitialEvents" not in query:
        if match:
            words = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            problem = FieldError.forbidden("resourceVersionMatch", words)
    elif not match:
        words = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        problem = FieldError.forbidden("resourceVersionMatch", words)
    elif match != "NotOlderThan":
        problem = FieldError.unsupported("resourceVersionMatch", match, ["NotOlderThan"])
    if problem:
        raise errors.invalid("meta.k8s.io", "ListOptions", "", [problem])
    return flag(query, "sendInitialEvents")
