"""The status of a pod, computed from what its containers do: a pure function.

Source: PodStatus in core/v1 and the statuses that a real kubelet (1.34) writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from meshdojo.cluster.client import Object

Kind = Literal["init", "sidecar", "main", "ephemeral"]


@dataclass
class Record:
    """What the status says of one container. `state` and `last_state` are ContainerState objects."""

    name: str
    kind: Kind
    image: str
    state: Object
    spec: Object = field(default_factory=dict)
    last_state: Object = field(default_factory=dict)
    restart_count: int = 0
    started: bool = False
    ready: bool = False
    container_id: str = ""
    image_id: str = ""

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return "running" in self.state

    @property
    def exit_code(self) -> int | None:
        """How it ended last, None while it runs or if it never did."""
        for state in (self.state, self.last_state):
            if "terminated" in state:
                return int(state["terminated"]["exitCode"])
            if "running" in state:
                return None
        return None

    @property
    def succeeded(self) -> bool:
        """Whether it has ended with exit code 0."""
        return "terminated" in self.state and self.state["terminated"]["exitCode"] == 0

    def status(self) -> Object:
        """The ContainerStatus."""
        found: Object = {
            "name": self.name,
            "state": self.state,
            "lastState": self.last_state,
            "ready": self.ready,
            "restartCount": self.restart_count,
            "image": self.image,
            "imageID": self.image_id,
            "started": self.started,
        }
        if self.container_id:
            found["containerID"] = self.container_id
            resources = self.spec.get("resources") or {}
            found["resources"] = resources
            if resources.get("requests"):
                found["allocatedResources"] = resources["requests"]
        mounts = [_mount_status(mount) for mount in self.spec.get("volumeMounts") or ()]
        if mounts:
            found["volumeMounts"] = mounts
        return found


def _mount_status(mount: Object) -> Object:
    shown = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        shown |= {"readOnly": True, "recursiveReadOnly": "Disabled"}
    return shown


@dataclass(frozen=True)
class Facts:
    """What the status tells besides the containers. `ip` '' until the pod has its address."""

    host_ip: str
    ip: str
    start_time: str
    sandbox: bool  # the pod's address and volumes are there
    reason: str = ""
    message: str = ""
    failed: bool = False  # ended by the kubelet, whatever the containers say


def build(pod: Object, records: Sequence[Record], facts: Facts, now: str) -> Object:
    """The PodStatus of `pod`, whose own status only gives the transition times and foreign conditions."""
    before = pod.get("status") or {}
    ephemeral = [record.status() for record in records if record.kind == "ephemeral"]
    # What somebody looks in with counts for nothing.
    records = [record for record in records if record.kind != "ephemeral"]
    generation = pod["metadata"].get("generation", 1)
    phase = "Failed" if facts.failed else phase_of(pod, records)
    status: Object = {
        "phase": phase,
        "conditions": _conditions(pod, records, facts, phase, now, generation),
        "hostIP": facts.host_ip,
        "hostIPs": [{"ip": facts.host_ip}],
        "startTime": facts.start_time,
        "qosClass": before.get("qosClass") or qos_class(pod),
        "observedGeneration": generation,
        "containerStatuses": [r.status() for r in sorted(records, key=lambda r: r.name) if r.kind == "main"],
    }
    init = [record.status() for record in records if record.kind != "main"]
    if init:
        status["initContainerStatuses"] = init
    if ephemeral:
        status["ephemeralContainerStatuses"] = ephemeral
    if facts.ip:
        status |= {"podIP": facts.ip, "podIPs": [{"ip": facts.ip}]}
    for name, value in (("reason", facts.reason), ("message", facts.message)):
        if value or before.get(name):
            status[name] = value or None
    return status


def phase_of(pod: Object, records: Sequence[Record]) -> str:
    """Pending, Running, Succeeded or Failed. Source: getPhase of the kubelet."""
    policy = pod["spec"].get("restartPolicy", "Always")
    for record in records:
        if record.kind == "init" and not record.succeeded:
            failed = record.exit_code not in (None, 0) and "terminated" in record.state
            return "Failed" if failed and policy == "Never" else "Pending"
        if record.kind == "sidecar" and not record.started and record.exit_code is None:
            return "Pending"
    main = [record for record in records if record.kind == "main"]
    if any(record.exit_code is None and not record.running for record in main):
        return "Pending"
    if any(record.running for record in records if record.kind != "init") or policy == "Always":
        return "Running"
    if any("terminated" not in record.state for record in main):
        return "Running"
    if all(record.succeeded for record in main):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def _conditions(
    pod: Object, records: Sequence[Record], facts: Facts, phase: str, now: str, generation: int
) -> list[Object]:
    finished = phase in ("Succeeded", "Failed")
    initialized = _initialized(records, phase)
    containers_ready = _containers_ready(records, phase)
    ready = _with_gates(pod, containers_ready) if not finished else containers_ready
    wanted = [
        ("PodReadyToStartContainers", facts.sandbox and not finished, "", ""),
        ("Initialized", *initialized),
        ("Ready", *ready),
        ("ContainersReady", *containers_ready),
    ]
    before = {condition["type"]: condition for condition in (pod.get("status") or {}).get("conditions") or ()}
    conditions = [_condition(before.pop(entry[0], None), *entry, now, generation) for entry in wanted]
    scheduled = before.pop("PodScheduled", None)
    conditions.append(_condition(scheduled, "PodScheduled", True, "", "", now, generation))
    return conditions + list(before.values())


def _initialized(records: Sequence[Record], phase: str) -> tuple[bool, str, str]:
    waiting = [
        record.name
        for record in records
        if (record.kind == "init" and not record.succeeded) or (record.kind == "sidecar" and not record.started)
    ]
    if phase == "Succeeded":
        return True, "PodCompleted", ""
    main_began = any(record.container_id for record in records if record.kind == "main")
    if not waiting or main_began:
        return True, "", ""
    return False, "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(waiting)}]"


def _containers_ready(records: Sequence[Record], phase: str) -> tuple[bool, str, str]:
    if phase == "Succeeded":
        return False, "PodCompleted", ""
    if phase == "Failed":
        return False, "PodFailed", ""
    unready = [record.name for record in records if record.kind != "init" and not record.ready]
    if not unready:
        return True, "", ""
    return False, "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"


def _with_gates(pod: Object, containers_ready: tuple[bool, str, str]) -> tuple[bool, str, str]:
    if not containers_ready[0]:
        return containers_ready
    conditions = {entry["type"]: entry["status"] for entry in (pod.get("status") or {}).get("conditions") or ()}
    for gate in pod["spec"].get("readinessGates") or ():
        name = gate["conditionType"]
        if name not in conditions:
            return (
                False,
                "ReadinessGatesNotReady",
                f'corresponding condition of pod readiness gate "{name}" does not exist.',
            )
        if conditions[name] != "True":
            return (
                False,
                "ReadinessGatesNotReady",
                f'the status of pod readiness gate "{name}" is not "True", but {conditions[name]}',
            )
    return containers_ready


def _condition(
    before: Object | None, kind: str, value: bool, reason: str, message: str, now: str, generation: int
) -> Object:
    status = "True" if value else "False"
    unchanged = before is not None and before["status"] == status
    condition: Object = {
        "type": kind,
        "status": status,
        "lastProbeTime": None,
        "lastTransitionTime": before["lastTransitionTime"] if before is not None and unchanged else now,
        "observedGeneration": generation,
    }
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def qos_class(pod: Object) -> str:
    """Guaranteed, Burstable or BestEffort. Source: "Pod Quality of Service Classes" in the documentation."""
    resources = [
        container.get("resources") or {}
        for container in (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"])
    ]
    if not any(entry.get("requests") or entry.get("limits") for entry in resources):
        return "BestEffort"
    for entry in resources:
        limits, requests = entry.get("limits") or {}, entry.get("requests") or {}
        for name in ("cpu", "memory"):
            if name not in limits or requests.get(name, limits[name]) != limits[name]:
                return "Burstable"
    return "Guaranteed"
