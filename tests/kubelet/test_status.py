"""The status of a pod from what its containers do."""

from __future__ import annotations

import pytest

from meshdojo.cluster.client import Object
from meshdojo.kubelet.status import Facts, Kind, Record, build, phase_of, qos_class

NOW = "2026-11-21T06:30:00Z"
FACTS = Facts("127.64.0.1", "127.64.1.0", NOW, sandbox=True)
WAITING: Object = {"waiting": {"reason": "PodInitializing"}}
RUNNING: Object = {"running": {"startedAt": NOW}}


def ended(code: int) -> Object:
    return {"terminated": {"exitCode": code}}


def pod(policy: str = "Always", **fields: Object) -> Object:
    return {"metadata": {"generation": 2}, "spec": {"restartPolicy": policy, "containers": [{}], **fields}}


def record(kind: Kind, state: Object, *, name: str = "c", last: Object | None = None, up: bool = False) -> Record:
    return Record(name, kind, "image", state, last_state=last or {}, started=up, ready=up, container_id="meshdojo://1")


@pytest.mark.parametrize(
    ("policy", "records", "phase"),
    [
        ("Always", [record("main", WAITING)], "Pending"),
        ("Always", [record("main", RUNNING)], "Running"),
        ("Always", [record("main", ended(1))], "Running"),
        ("Always", [record("main", {"waiting": {}}, last=ended(1))], "Running"),
        ("Never", [record("main", ended(0))], "Succeeded"),
        ("Never", [record("main", ended(1))], "Failed"),
        ("Never", [record("main", ended(1)), record("main", RUNNING)], "Running"),
        ("OnFailure", [record("main", ended(0))], "Succeeded"),
        ("OnFailure", [record("main", ended(1))], "Running"),
        ("Always", [record("init", RUNNING), record("main", WAITING)], "Pending"),
        ("Always", [record("init", ended(5)), record("main", WAITING)], "Pending"),
        ("Never", [record("init", ended(5)), record("main", WAITING)], "Failed"),
        ("Always", [record("sidecar", RUNNING), record("main", WAITING)], "Pending"),
        ("Always", [record("sidecar", RUNNING, up=True), record("main", RUNNING)], "Running"),
        ("Never", [record("sidecar", RUNNING, up=True), record("main", ended(0))], "Running"),
        ("Never", [record("sidecar", ended(0), up=True), record("main", ended(0))], "Succeeded"),
    ],
)
def test_phases(policy: str, records: list[Record], phase: str) -> None:
    assert phase_of(pod(policy), records) == phase


def conditions(obj: Object, records: list[Record]) -> dict[str, tuple[str, str, str]]:
    status = build(obj, records, FACTS, NOW)
    return {one["type"]: (one["status"], one.get("reason", ""), one.get("message", "")) for one in status["conditions"]}


def test_conditions_of_a_pod_that_initialises() -> None:
    main = Record("app", "main", "image", WAITING)
    found = conditions(pod(), [record("init", RUNNING, name="one"), main])
    assert found["Initialized"] == (
        "False", "ContainersNotInitialized", "containers with incomplete status: [one]",
    )  # fmt: skip
    assert found["Ready"] == ("False", "ContainersNotReady", "containers with unready status: [app]")
    assert found["PodReadyToStartContainers"][0] == found["PodScheduled"][0] == "True"


def test_conditions_of_a_pod_that_has_ended() -> None:
    assert conditions(pod("Never"), [record("main", ended(0))])["Initialized"] == ("True", "PodCompleted", "")
    assert conditions(pod("Never"), [record("main", ended(3))])["Ready"] == ("False", "PodFailed", "")


def test_a_sidecar_counts_for_readiness() -> None:
    records = [record("sidecar", RUNNING, name="proxy"), record("main", RUNNING, name="app", up=True)]
    assert conditions(pod(), records)["Ready"][2] == "containers with unready status: [proxy]"


def test_readiness_gates() -> None:
    gated = pod(readinessGates=[{"conditionType": "example.com/go"}])  # type: ignore[arg-type]
    up = [record("main", RUNNING, up=True)]
    assert conditions(gated, up)["Ready"][1] == "ReadinessGatesNotReady"
    gated["status"] = {"conditions": [{"type": "example.com/go", "status": "True", "lastTransitionTime": NOW}]}
    found = conditions(gated, up)
    assert found["Ready"][0] == "True"
    assert found["example.com/go"][0] == "True"


def test_transition_times_stay_while_nothing_changes() -> None:
    up = [record("main", RUNNING, up=True)]
    first = build(pod(), up, FACTS, "2026-01-01T00:00:00Z")
    again = build({**pod(), "status": first}, up, FACTS, NOW)
    assert {one["lastTransitionTime"] for one in again["conditions"]} == {"2026-01-01T00:00:00Z"}


def test_container_statuses_are_sorted_and_init_containers_in_order() -> None:
    records = [
        record("init", ended(0), name="z"),
        record("init", ended(0), name="a"),
        record("main", RUNNING, name="y"),
        record("main", RUNNING, name="b"),
    ]
    status = build(pod(), records, FACTS, NOW)
    assert [one["name"] for one in status["initContainerStatuses"]] == ["z", "a"]
    assert [one["name"] for one in status["containerStatuses"]] == ["b", "y"]


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
    ],
)
def test_quality_of_service(resources: Object, expected: str) -> None:
    assert qos_class({"spec": {"containers": [{"resources": resources}]}}) == expected
