"""Aggregated discovery: hands Envoy resources to proxies, and keeps what each of them acknowledged.

The incremental variant of xDS (``DELTA_GRPC``) on a Unix socket. It was chosen over state of the world since a
changed route then costs one resource on the wire, and since a refusal leaves the other resources of the answer in
place. One stream per proxy:

* A subscription is answered at once from the current configuration.
* `Server.publish` marks all streams; every stream sends what differs, once per turn of the event loop.
* Order of a push (make before break): clusters, endpoints, listeners, routes, secrets, then removals of clusters.
  The endpoints of every cluster sent are sent again behind it, as a cluster that Envoy warms waits for them; a route
  to it may follow without a pause, as Envoy works through a stream in order.
* ACK and NACK are kept per type; a NACK's reason goes to `Server.on_refusal`.

Source: the xDS protocol's specification (envoyproxy.io, "xDS REST and gRPC protocol").
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import grpc
import grpc.aio
from google.protobuf import json_format

from meshdojo.istio.messages import DeltaDiscoveryRequest, DeltaDiscoveryResponse
from meshdojo.istio.proxy import BadNode, Proxy
from meshdojo.istio.resource import CDS, EDS, LDS, RDS, SDS, Resource

log = logging.getLogger("ads")
SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
PUSH_ORDER = (CDS, EDS, LDS, RDS, SDS)
WILDCARD_TYPES = (CDS, LDS)
_SOCKETS = itertools.count(1)
LARGEST_MESSAGE = 64 * 1024 * 1024


class Configuration(Protocol):
    """What the proxies shall have: one state of the cluster, translated on demand."""

    @property
    def version(self) -> int:
        """Grows with every change."""
        ...

    def resources(self, proxy: Proxy, type_url: str, names: Collection[str] | None) -> Mapping[str, Resource]:
        """The resources of a type by name: all (None), or those of `names` that exist."""
        ...


@dataclass(frozen=True)
class Refusal:
    """A NACK: which proxy refused which resources, and Envoy's reason."""

    proxy: Proxy
    type_url: str
    reason: str
    resources: tuple[Resource, ...]


@dataclass
class Subscription:
    """What one proxy has of one resource type."""

    type_url: str
    wildcard: bool = False
    names: set[str] = field(default_factory=set)
    sent: dict[str, str] = field(default_factory=dict)  # name -> version
    waiting: dict[str, tuple[Resource, ...]] = field(default_factory=dict)  # nonce -> what it carried
    sent_nonce: str = ""
    acked_nonce: str = ""
    refused: dict[str, str] = field(default_factory=dict)  # name -> reason, until a later version is accepted

    @property
    def refusal(self) -> str:
        """Why something of this type is not in force, '' when all is."""
        return "; ".join(sorted(set(self.refused.values())))

    @property
    def state(self) -> str:
        """As ``istioctl proxy-status`` words it: NOT SENT, STALE (waits for an answer), ERROR, SYNCED."""
        if not self.sent_nonce:
            return "NOT SENT"
        if self.waiting:
            return "STALE"
        return "ERROR" if self.refusal else "SYNCED"


class Stream:
    """One connected proxy."""

    def __init__(self, server: Server, context: Any, proxy: Proxy, number: int) -> None:
        self.proxy = proxy
        self.number = number
        self.subscriptions: dict[str, Subscription] = {}
        self.acked: Configuration | None = None  # the newest one to all of which the proxy has answered
        self._server = server
        self._context = context
        self._nonces = itertools.count(1)
        self._lock = asyncio.Lock()  # one writer at a time
        self._dirty = asyncio.Event()
        self._pushed: Configuration | None = None

    @property
    def synced(self) -> bool:
        """Whether the proxy has answered to all of the current configuration (a refusal is an answer too)."""
        return self.acked is self._server.configuration

    def mark(self) -> None:
        """There may be something new to send."""
        self._dirty.set()

    async def push_changes(self) -> None:
        """Send whatever changes, until cancelled."""
        while True:
            await self._dirty.wait()
            await asyncio.sleep(0)  # changes of the same turn of the loop become one push
            self._dirty.clear()
            async with self._lock:
                await self._push(self._server.configuration)

    async def answer(self, request: Any) -> None:
        """Take in one request: an ACK or NACK, a changed subscription, or both."""
        subscription = self.subscriptions.setdefault(request.type_url, Subscription(request.type_url))
        if request.response_nonce:
            self._acknowledge(subscription, request)
        first = not subscription.sent_nonce and not request.response_nonce
        added = self._subscribe(subscription, request, first)
        if first or added:
            async with self._lock:
                await self._send_subscribed(subscription, None if first else added)
        self._settle()

    async def _send_subscribed(self, subscription: Subscription, names: Collection[str] | None) -> None:
        wanted = self._resources(self._server.configuration, subscription, names)
        asked = names if names is not None else subscription.names
        missing = [name for name in asked if name not in wanted]
        # A proxy that reconnects has some already (initial_resource_versions). Endpoints it gets anew: a cluster that
        # was warming when the connection broke waits for them, and as long as one is, Envoy asks for no clusters.
        everything = names is not None or subscription.type_url == EDS
        new = [one for one in wanted.values() if everything or subscription.sent.get(one.name) != one.version]
        gone = [name for name in subscription.sent if names is None and name not in wanted]
        await self._send(subscription, new, {*missing, *gone})

    def _subscribe(self, subscription: Subscription, request: Any, first: bool) -> list[str]:
        """Take over subscriptions; the names that must be answered."""
        added = [name for name in request.resource_names_subscribe if name != "*"]
        if first:
            subscription.sent.update(request.initial_resource_versions)
            # The older form of a wildcard subscription names nothing.
            subscription.wildcard = subscription.type_url in WILDCARD_TYPES and not added
        if "*" in request.resource_names_subscribe:
            subscription.wildcard = True
        subscription.names.update(added)
        for name in request.resource_names_unsubscribe:
            subscription.names.discard(name)
            subscription.sent.pop(name, None)
        return added

    def _acknowledge(self, subscription: Subscription, request: Any) -> None:
        carried = subscription.waiting.pop(request.response_nonce, None)
        if carried is None:  # of an earlier stream, or answered already
            return
        reason = request.error_detail.message
        for one in carried:
            subscription.refused.pop(one.name, None)
        if reason:
            blamed = _blamed(carried, reason)
            subscription.refused.update({one.name: reason for one in blamed})
            self._server.refused(Refusal(self.proxy, subscription.type_url, reason, blamed))
        else:
            subscription.acked_nonce = request.response_nonce

    async def _push(self, configuration: Configuration) -> None:
        late: set[str] = set()
        warming: frozenset[str] = frozenset()
        for type_url in PUSH_ORDER:
            subscription = self.subscriptions.get(type_url)
            if subscription is None:
                continue
            wanted = self._resources(configuration, subscription, None)
            changed = [one for one in wanted.values() if subscription.sent.get(one.name) != one.version]
            removed = {name for name in subscription.sent if name not in wanted}
            if type_url == CDS:
                warming = frozenset(one.name for one in changed)
                late, removed = removed, set()
            elif type_url == EDS:
                # A cluster that is about to go keeps its endpoints as long as a route leads to it.
                changed = [one for one in changed if one.name not in late]
                removed -= late
                changed += self._endpoints(configuration, subscription, warming, changed)
            await self._send(subscription, changed, removed)
        if late:
            await self._send(self.subscriptions[CDS], [], late)
        self._pushed = configuration
        self._settle()

    def _endpoints(
        self,
        configuration: Configuration,
        subscription: Subscription,
        warming: frozenset[str],
        sent: Iterable[Resource],
    ) -> list[Resource]:
        """The endpoints of clusters just sent, as far as they are not on their way yet."""
        names = warming - {one.name for one in sent}
        return list(configuration.resources(self.proxy, EDS, names).values()) if names else []

    def _resources(
        self, configuration: Configuration, subscription: Subscription, names: Collection[str] | None
    ) -> Mapping[str, Resource]:
        if names is None and not subscription.wildcard:
            names = frozenset(subscription.names)
        return configuration.resources(self.proxy, subscription.type_url, names)

    async def _send(self, subscription: Subscription, changed: list[Resource], removed: set[str]) -> None:
        if not changed and not removed and subscription.sent_nonce:
            return
        # Envoy's refusal of a route configuration does not name it, and would cover all of an answer.
        alone = subscription.type_url == RDS
        batches = [[one] for one in changed] if alone else [changed]
        for batch in batches or [[]]:
            await self._send_batch(subscription, batch, removed)
            removed = set()

    async def _send_batch(self, subscription: Subscription, changed: list[Resource], removed: set[str]) -> None:
        nonce = f"{self.number}-{next(self._nonces)}"
        response = DeltaDiscoveryResponse(
            type_url=subscription.type_url,
            nonce=nonce,
            system_version_info=str(self._server.configuration.version),
            resources=[one.message for one in changed],
            removed_resources=sorted(removed),
        )
        subscription.sent.update({one.name: one.version for one in changed})
        for name in removed:
            subscription.sent.pop(name, None)
            subscription.refused.pop(name, None)
        subscription.sent_nonce = nonce
        subscription.waiting[nonce] = tuple(changed)
        await self._context.write(response)

    def _settle(self) -> None:
        if not any(one.waiting for one in self.subscriptions.values()):
            self.acked = self._pushed or self._server.configuration
            self._server.acknowledged()


def _blamed(carried: tuple[Resource, ...], reason: str) -> tuple[Resource, ...]:
    """The resources that the reason names; all that were sent when it names none."""
    named = tuple(one for one in carried if one.name in reason)
    return named or carried


class Server:
    """ADS on a Unix socket. `configuration` is what proxies get from now on (see `publish`)."""

    def __init__(self, configuration: Configuration, on_refusal: Callable[[Refusal], None] | None = None) -> None:
        self.configuration = configuration
        self.streams: dict[int, Stream] = {}
        self._on_refusal = on_refusal
        self._numbers = itertools.count(1)
        self._server: grpc.aio.Server | None = None
        self._socket: Path | None = None
        self._news: asyncio.Event = asyncio.Event()

    async def start(self, path: Path) -> None:
        """Serve at `path`, whose directory is made private.

        The path is a link to a socket of our own: the istiod that takes over links to its own one, and the old
        istiod's end does not take the new one's socket away.
        """
        self._socket = _own_socket(path)
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", LARGEST_MESSAGE),
                ("grpc.max_send_message_length", LARGEST_MESSAGE),
            ]
        )
        method = grpc.stream_stream_rpc_method_handler(
            self._serve,
            request_deserializer=DeltaDiscoveryRequest.FromString,
            response_serializer=DeltaDiscoveryResponse.SerializeToString,
        )
        handler = grpc.method_handlers_generic_handler(SERVICE, {"DeltaAggregatedResources": method})
        self._server.add_generic_rpc_handlers((handler,))
        self._server.add_insecure_port(f"unix:{self._socket}")
        await self._server.start()
        _link(path, self._socket)

    async def stop(self) -> None:
        """End all streams; proxies keep what they have and try again."""
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None
            if self._socket is not None:
                self._socket.unlink(missing_ok=True)

    def publish(self, configuration: Configuration) -> None:
        """Let every proxy have this configuration."""
        self.configuration = configuration
        for stream in self.streams.values():
            stream.mark()
        self.acknowledged()

    async def synced(self, predicate: Callable[[Server], bool] | None = None) -> None:
        """Wait until all connected proxies have acknowledged the current configuration (or `predicate` holds)."""
        while not (predicate or Server.is_synced)(self):
            self._news.clear()
            await self._news.wait()

    def is_synced(self) -> bool:
        """Whether every connected proxy has acknowledged the current configuration."""
        return all(stream.synced for stream in self.streams.values())

    def acknowledged(self) -> None:
        """Called by a stream whose proxy has taken something over: wakes those who wait for that."""
        self._news.set()

    def refused(self, refusal: Refusal) -> None:
        """Called by a stream whose proxy has sent a NACK: logs it, and hands it to `on_refusal`."""
        names = ", ".join(one.name for one in refusal.resources)
        log.warning("%s refused %s (%s): %s", refusal.proxy.id, short(refusal.type_url), names, refusal.reason)
        if self._on_refusal is not None:
            self._on_refusal(refusal)

    async def _serve(self, requests: AsyncIterator[Any], context: Any) -> None:
        stream: Stream | None = None
        pusher: asyncio.Task[None] | None = None
        try:
            async for request in requests:
                if stream is None:
                    stream = await self._connect(request, context)
                    pusher = asyncio.create_task(stream.push_changes(), name=f"ads {stream.proxy.id}")
                await stream.answer(request)
        finally:
            if stream is not None and pusher is not None:
                # Before anything is awaited: gRPC may cancel this a second time.
                self._disconnect(stream)
                pusher.cancel()
                await asyncio.gather(pusher, return_exceptions=True)

    async def _connect(self, request: Any, context: Any) -> Stream:
        try:
            proxy = Proxy.parse(request.node.id, json_format.MessageToDict(request.node.metadata))
        except BadNode as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise
        stream = Stream(self, context, proxy, next(self._numbers))
        self.streams[stream.number] = stream
        log.info("ADS: new delta connection for node:%s-%d", proxy.id, stream.number)
        return stream

    def _disconnect(self, stream: Stream) -> None:
        del self.streams[stream.number]
        log.info('ADS: "%s" %s-%d terminated', stream.proxy.ip, stream.proxy.id, stream.number)
        self.acknowledged()


def _own_socket(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in path.parent.glob(f"{path.stem}-*.sock"):
        if not _is_served(left):  # its istiod was killed
            left.unlink(missing_ok=True)
    return path.with_name(f"{path.stem}-{os.getpid()}-{next(_SOCKETS)}.sock")


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


def _link(path: Path, target: Path) -> None:
    """Let `path` lead to `target` from one moment to the next."""
    temporary = target.with_suffix(".link")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target.name)
    temporary.replace(path)


def short(type_url: str) -> str:
    """CDS, EDS, LDS, RDS or SDS (the type URL itself for any other)."""
    names = {CDS: "CDS", EDS: "EDS", LDS: "LDS", RDS: "RDS", SDS: "SDS"}
    return names.get(type_url, type_url)
