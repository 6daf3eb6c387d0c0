"""What becomes of a container whose kubelet was started again."""

from __future__ import annotations

from typing import Any

import pytest

from meshdojo.cluster.client import Object
from meshdojo.kubelet.recovery import Note, recover
from meshdojo.kubelet.spawn import Survivor
from meshdojo.kubelet.status import Kind, Record

START, END = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"
WAITING = {"waiting": {"reason": "ContainerCreating"}}
ELSEWHEN = {"terminated": {"exitCode": 3, "reason": "Error", "containerID": "id-0"}}


def survivor(run: int = 1, status: int | None = None) -> Survivor:
    """The run with the number `run`, whose ID has it, too."""
    note = Note(f"id-{run}", "image", run, START, "127.64.1.1", {}, ELSEWHEN)
    return Survivor("uid/c", 4711, note.pack(), status, "" if status is None else END, -1)


def told(run: int, state: Object, *, count: int | None = None, **more: Any) -> Object:
    """A ContainerStatus that tells of the run with this number."""
    return {
        "containerID": f"id-{run}",
        "imageID": "image",
        "restartCount": run if count is None else count,
        "state": state,
        **more,
    }


def ended(run: int, code: int, reason: str = "") -> Object:
    reason = reason or ("Error" if code else "Completed")
    return {"terminated": {"exitCode": code, "reason": reason, "startedAt": START, "finishedAt": END,
                           "containerID": f"id-{run}"}}  # fmt: skip


def record(kind: Kind = "main") -> Record:
    return Record("c", kind, "image:1", WAITING)


def never(code: int) -> bool:
    return True


def always(code: int) -> bool:
    return False


def test_one_that_runs_goes_on_with_what_the_status_said_of_it() -> None:
    found = record()
    before = told(1, {"running": {"startedAt": START}}, lastState=ended(0, 4), started=True, ready=True)
    assert not recover(found, before, survivor(), always, rebooted=False)
    assert found.state == {"running": {"startedAt": START}}
    assert found.last_state == ended(0, 4)
    assert (found.restart_count, found.container_id, found.started, found.ready) == (1, "id-1", True, True)


@pytest.mark.parametrize(
    "before",
    [{}, told(0, {"running": {"startedAt": START}}, started=True, ready=True), told(0, WAITING, count=1, ready=False)],
)
def test_where_the_status_is_behind_the_zygote_is_right(before: Object) -> None:
    found = record()
    assert not recover(found, before, survivor(), always, rebooted=False)
    assert found.state == {"running": {"startedAt": START}}
    assert found.last_state == ELSEWHEN
    assert (found.restart_count, found.container_id, found.started, found.ready) == (1, "id-1", False, False)


@pytest.mark.parametrize(("status", "code"), [(0, 0), (7, 7), (-9, 137)])
def test_an_end_that_nobody_saw_is_final_or_not(status: int, code: int) -> None:
    before = told(1, {"running": {"startedAt": START}}, started=True, ready=True)
    found = record()
    assert recover(found, before, survivor(status=status), never, rebooted=False)
    assert found.state == ended(1, code)
    assert (found.restart_count, found.ready) == (1, False)
    again = record()
    assert not recover(again, before, survivor(status=status), always, rebooted=False)
    assert (again.state, again.last_state) == (WAITING, ended(1, code))
    assert (again.restart_count, again.container_id) == (2, "id-1")


def test_an_end_that_the_status_tells_is_told_in_its_words() -> None:
    found = record()
    before = told(1, ended(1, 137, "OOMKilled"), lastState=ended(0, 4))
    assert recover(found, before, survivor(status=-9), never, rebooted=False)
    assert found.state == ended(1, 137, "OOMKilled")
    assert found.last_state == ended(0, 4)


def test_a_back_off_ends_with_the_kubelet_and_no_run_is_counted_twice() -> None:
    found = record()
    before = told(1, {"waiting": {"reason": "CrashLoopBackOff"}}, lastState=ended(1, 137, "OOMKilled"))
    assert not recover(found, before, survivor(status=-9), always, rebooted=False)
    assert found.last_state == ended(1, 137, "OOMKilled")
    assert found.restart_count == 2
    before = told(1, {"waiting": {"reason": "CreateContainerConfigError"}}, count=2, lastState=ended(1, 3))
    found = record()
    assert not recover(found, before, survivor(status=3), always, rebooted=False)
    assert found.restart_count == 2  # which had not begun


def test_a_later_run_that_never_became_a_process_is_known_from_the_status_alone() -> None:
    found = record()
    failed = {"terminated": {"exitCode": 128, "reason": "StartError", "containerID": "id-2"}}
    before = told(2, {"waiting": {"reason": "RunContainerError"}}, lastState=failed)
    assert not recover(found, before, survivor(status=3), always, rebooted=False)
    assert found.last_state == failed
    assert found.restart_count == 3


def test_an_init_container_that_has_ended_well_is_done_unless_the_node_is_another() -> None:
    before = told(0, ended(0, 0), ready=True)
    for known in (None, survivor(run=0, status=0)):
        found = record("init")
        assert recover(found, before, known, lambda code: code == 0, rebooted=False)
        assert (found.state, found.ready, found.restart_count) == (ended(0, 0), True, 0)
    again = record("init")
    assert not recover(again, before, None, lambda code: code == 0, rebooted=True)
    assert again.restart_count == 1


def test_without_a_zygote_what_ran_is_lost() -> None:
    found = record()
    assert not recover(found, told(1, {"running": {"startedAt": START}}), None, always, rebooted=True)
    assert found.restart_count == 2
    lost = found.last_state["terminated"]
    assert (lost["exitCode"], lost["reason"], lost["startedAt"]) == (255, "Unknown", START)
    visitor = record("ephemeral")
    assert recover(visitor, told(0, {"running": {"startedAt": START}}), None, never, rebooted=True)
    assert visitor.state["terminated"]["reason"] == "Unknown"


def test_one_that_never_ran_begins() -> None:
    found = record()
    assert not recover(found, {"restartCount": 0, "state": WAITING}, None, always, rebooted=False)
    assert (found.restart_count, found.state) == (0, WAITING)
