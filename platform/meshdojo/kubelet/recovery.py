"""What becomes of a container when its kubelet is started again: a pure function of what is known about it.

Two sources: the pod's status, which may be behind (the kubelet died before it wrote the last of it), and the zygote,
which knows the last run of each container that it has started. Where they differ, the zygote is right, unless the
status tells of a later run, which never became a process. Without a zygote (the machine was restarted, or everything
was killed) the processes of the status are gone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubelet.spawn import Survivor
from meshdojo.kubelet.status import Record
from meshdojo.kubernetes.timestamps import now


@dataclass(frozen=True)
class Note:
    """What a kubelet tells the zygote of a run, for a kubelet to come."""

    container_id: str
    image_id: str
    restart_count: int
    started_at: str
    ip: str
    environment: dict[str, str]
    last_state: Object = field(default_factory=dict)

    def pack(self) -> dict[str, Any]:
        """For `of`."""
        return asdict(self)

    @classmethod
    def of(cls, survivor: Survivor) -> Note:
        """The note about a survivor."""
        return cls(**survivor.note)


def recover(
    record: Record, before: Object, survivor: Survivor | None, ends_well: Callable[[int], bool], *, rebooted: bool
) -> bool:
    """Fill in `record`, from the status `before` ({} for none). True when the container has ended for good.

    It is to be adopted if it is a survivor that runs, else to be started (again). `rebooted`: what the status says of
    processes is of another life.
    """
    if survivor is not None and not _is_later(before, Note.of(survivor)):
        return _from_survivor(record, before, survivor, ends_well)
    if not before.get("containerID"):
        return False
    return _from_status(record, before, ends_well, rebooted=rebooted)


def _is_later(before: Object, note: Note) -> bool:
    """Whether the status tells of a run after the one that the zygote knows: one that failed to start."""
    own = before.get("containerID") == note.container_id
    return not own and int(before.get("restartCount", 0)) > note.restart_count


def _from_survivor(record: Record, before: Object, survivor: Survivor, ends_well: Callable[[int], bool]) -> bool:
    note = Note.of(survivor)
    known = before.get("containerID") == note.container_id
    record.restart_count = note.restart_count
    record.container_id, record.image_id = note.container_id, note.image_id
    record.last_state = (before.get("lastState") if known else note.last_state) or {}
    if survivor.status is None:
        record.state = {"running": {"startedAt": note.started_at}}
        record.started, record.ready = known and bool(before.get("started")), known and bool(before.get("ready"))
        return False
    ended = _told(before, note) or {
        "exitCode": survivor.status if survivor.status >= 0 else 128 - survivor.status,
        "reason": "Error" if survivor.status else "Completed",
        "startedAt": note.started_at,
        "finishedAt": survivor.ended,
        "containerID": note.container_id,
    }
    if not ends_well(int(ended["exitCode"])):
        record.last_state = {"terminated": ended}
        record.restart_count += 1
        return False
    record.state = {"terminated": ended}
    record.ready = record.kind == "init" and not ended["exitCode"]
    return True


def _told(before: Object, note: Note) -> Object | None:
    """How the status tells of this run's end, if it does."""
    for state in (before.get("state") or {}, before.get("lastState") or {}):
        ended: Object | None = state.get("terminated")
        if ended is not None and ended.get("containerID") == note.container_id:
            return ended
    return None


def _from_status(record: Record, before: Object, ends_well: Callable[[int], bool], *, rebooted: bool) -> bool:
    record.restart_count = int(before.get("restartCount", 0))
    record.image_id, record.container_id = before.get("imageID", ""), before["containerID"]
    state = before.get("state") or {}
    if "terminated" in state:
        again = not ends_well(int(state["terminated"]["exitCode"]))
        if again or (rebooted and record.kind == "init"):
            record.last_state = state
            record.restart_count += 1
        if not again:
            record.state = state
            record.ready = not rebooted and bool(before.get("ready"))
        return not again and not (rebooted and record.kind == "init")
    if record.kind == "ephemeral":
        record.state = _lost(before)  # never restarted
        return True
    record.restart_count += 1
    record.last_state = before.get("lastState") or {}
    if "running" in state:
        record.last_state = _lost(before)
    return False


def _lost(before: Object) -> Object:
    """The state of a container whose end nobody saw: the node was not there."""
    running = (before.get("state") or {}).get("running") or {}
    return {
        "terminated": {
            "exitCode": 255,
            "reason": "Unknown",
            "startedAt": running.get("startedAt"),
            "finishedAt": now(),
            "containerID": before["containerID"],
        }
    }
