"""Events: what happened to an object, as ``kubectl describe`` and ``kubectl get events`` show it.

A `Recorder` never makes its caller wait: `Events` writes in the background. Equal events become one with a count, and
from the tenth similar one in ten minutes on they become one "(combined from similar events)".
Source: ``k8s.io/client-go/tools/record`` (events_cache.go).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal

from meshdojo.cluster.client import Client, Object
from meshdojo.cluster.errors import ClusterError, StatusError
from meshdojo.kubernetes.timestamps import now

EventType = Literal["Normal", "Warning"]
SIMILAR = 10
SIMILAR_SECONDS = 600.0
REMEMBERED = 4096
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Note:
    """One thing that happened."""

    involved: Object  # an ObjectReference
    type: EventType
    reason: str
    message: str
    component: str
    host: str
    time: str

    @property
    def similar(self) -> tuple[str, ...]:
        """What events have in common that are combined when they get many."""
        return (
            self.component,
            self.host,
            self.involved["kind"],
            self.involved.get("namespace", ""),
            self.involved["name"],
            self.involved.get("uid", ""),
            self.involved.get("fieldPath", ""),
            self.type,
            self.reason,
        )


@dataclass
class _Written:
    name: str
    count: int


@dataclass
class _Similar:
    messages: set[str] = field(default_factory=set)
    last: float = 0.0


class Events:
    """Writes events one after the other, in the order in which they were recorded."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._notes: asyncio.Queue[Note] = asyncio.Queue()
        self._written: OrderedDict[tuple[str, ...], _Written] = OrderedDict()
        self._similar: OrderedDict[tuple[str, ...], _Similar] = OrderedDict()
        self._last_stamp = 0
        self._task: asyncio.Task[None] | None = None

    def recorder(self, component: str, host: str = "") -> Recorder:
        """A recorder in the name of a component (``deployment-controller``, ``kubelet``)."""
        return Recorder(self, component, host)

    def start(self) -> None:
        """Begin to write what is noted, in the running event loop."""
        self._task = asyncio.create_task(self._run(), name="events")

    async def stop(self) -> None:
        """Write what was recorded, then end."""
        if self._task is not None:
            await self._notes.join()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def written(self) -> None:
        """Wait until everything recorded so far is in the API."""
        await self._notes.join()

    def add(self, note: Note) -> None:
        """Write an event soon; never waits, and a failure to write is only logged."""
        self._notes.put_nowait(note)

    async def _run(self) -> None:
        while True:
            note = await self._notes.get()
            try:
                await self._write(note)
            except ClusterError as error:  # an event is never worth a failure: the namespace may be going away
                log.debug("event not written: %s", error)
            finally:
                self._notes.task_done()
            await asyncio.sleep(0)  # everybody else gets a turn

    async def _write(self, note: Note) -> None:
        key, message = self._combined(note)
        known = self._written.get(key)
        if known is not None and await self._counted(note, known, message):
            self._written.move_to_end(key)
            return
        name = f"{note.involved['name']}.{self._stamp():x}"
        await self._client.create("events", _event(note, name, message), _namespace(note))
        self._written[key] = _Written(name, 1)
        if len(self._written) > REMEMBERED:
            self._written.popitem(last=False)

    async def _counted(self, note: Note, known: _Written, message: str) -> bool:
        """Count one more of an event that was written before; False if it is gone by now."""
        patch = {"count": known.count + 1, "lastTimestamp": note.time, "message": message}
        try:
            await self._client.patch("events", known.name, patch, _namespace(note))
        except StatusError as error:
            if error.code == 404:
                return False
            raise
        known.count += 1
        return True

    def _combined(self, note: Note) -> tuple[tuple[str, ...], str]:
        """The key under which this event is counted, and its message."""
        similar = self._similar.pop(note.similar, None)
        if similar is None or time.monotonic() - similar.last > SIMILAR_SECONDS:
            similar = _Similar()
        similar.messages.add(note.message)
        similar.last = time.monotonic()
        self._similar[note.similar] = similar
        if len(self._similar) > REMEMBERED:
            self._similar.popitem(last=False)
        if len(similar.messages) < SIMILAR:
            return (*note.similar, note.message), note.message
        similar.messages.pop()  # any one: the set grows no further
        return note.similar, f"(combined from similar events): {note.message}"

    def _stamp(self) -> int:
        self._last_stamp = max(self._last_stamp + 1, time.time_ns())
        return self._last_stamp


@dataclass(frozen=True)
class Recorder:
    """Records events in the name of one component."""

    events: Events
    component: str
    host: str = ""

    def normal(self, obj: Object, reason: str, message: str, field_path: str = "") -> None:
        """Something ordinary happened to `obj`; `field_path` names a part (``spec.containers{app}``)."""
        self._record(obj, "Normal", reason, message, field_path)

    def warning(self, obj: Object, reason: str, message: str, field_path: str = "") -> None:
        """Something went wrong with `obj`."""
        self._record(obj, "Warning", reason, message, field_path)

    def _record(self, obj: Object, type: EventType, reason: str, message: str, field_path: str) -> None:
        involved = reference(obj, field_path)
        self.events.add(Note(involved, type, reason, message, self.component, self.host, now()))


def reference(obj: Object, field_path: str = "") -> Object:
    """An ObjectReference (core/v1) to an object."""
    metadata = obj["metadata"]
    fields = {
        "kind": obj["kind"],
        "namespace": metadata.get("namespace"),
        "name": metadata["name"],
        "uid": metadata.get("uid"),
        "apiVersion": obj["apiVersion"],
        "resourceVersion": metadata.get("resourceVersion"),
        "fieldPath": field_path,
    }
    return {name: value for name, value in fields.items() if value}


def _namespace(note: Note) -> str:
    return str(note.involved.get("namespace") or "default")


def _event(note: Note, name: str, message: str) -> Object:
    source = {"component": note.component, **({"host": note.host} if note.host else {})}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": _namespace(note)},
        "involvedObject": note.involved,
        "reason": note.reason,
        "message": message,
        "source": source,
        "firstTimestamp": note.time,
        "lastTimestamp": note.time,
        "count": 1,
        "type": note.type,
        "eventTime": None,
        "reportingComponent": note.component,
        "reportingInstance": note.host,
    }
