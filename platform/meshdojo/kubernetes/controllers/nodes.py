"""The one node of the embedded cluster, and its lease.

Source: what a real kubelet registers (``kubectl get node -o yaml``); ``k8s.io/kubernetes/pkg/kubelet/nodestatus``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from meshdojo.cluster.client import Client, Object
from meshdojo.cluster.errors import ClusterError, StatusError
from meshdojo.kubernetes.timestamps import micro_now, now

log = logging.getLogger(__name__)
LEASES = "leases.coordination.k8s.io"
LEASE_NAMESPACE = "kube-node-lease"
# A real kubelet renews its lease every 10 s for a controller that watches it. Nobody does here, and each renewal is a
# write to disk; the status is renewed as often as a real one's (nodeStatusReportFrequency).
HEARTBEAT_SECONDS = 300
# Manifests ask for what real containers need (istiod: 2 GiB); the programs here need a fraction of it, so that what
# fits on an ordinary laptop's cluster fits on any machine.
LEAST_CPUS = 8
LEAST_MEMORY_KI = 16 * 1024 * 1024
PODS = 110


@dataclass(frozen=True)
class NodeFacts:
    """What the embedded cluster says of its node: its name, address, and the Kubernetes version it claims to run."""

    name: str
    address: str
    version: str
    pod_cidr: str = ""


class NodeRegistration:
    """Registers the node, and renews its heartbeats for as long as it runs."""

    def __init__(self, client: Client, facts: NodeFacts) -> None:
        self._client = client
        self._facts = facts
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Register before anything else starts: there is nothing to schedule on otherwise."""
        await self._register()
        self._task = asyncio.create_task(self._beat(), name="node heartbeats")

    async def stop(self) -> None:
        """Renew the lease no more; node and lease stay."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            try:
                await self._register()
            except ClusterError as error:
                log.warning("the node's heartbeat was not written: %s", error)

    async def _register(self) -> None:
        node = await _ensure(self._client, "nodes", _node(self._facts))
        before = node.get("status") or {}
        status = node_status(self._facts, before.get("conditions") or ())
        await self._client.update("nodes", {**node, "status": {**before, **status}}, subresource="status")
        lease = await _ensure(self._client, LEASES, _lease(node))
        await self._client.patch(LEASES, self._facts.name, {"spec": {"renewTime": micro_now()}}, LEASE_NAMESPACE)
        log.debug("renewed lease %s", lease["metadata"]["name"])


def node_status(facts: NodeFacts, conditions: Sequence[Object] = ()) -> Object:
    """A healthy node's status, with the capacity of this machine; transition times as in `conditions`."""
    resources = _resources()
    system = platform.uname()
    return {
        "addresses": [{"type": "InternalIP", "address": facts.address}, {"type": "Hostname", "address": facts.name}],
        "allocatable": resources,
        "capacity": resources,
        "conditions": _conditions(conditions),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "architecture": _architecture(),
            "bootID": "",
            "containerRuntimeVersion": f"meshdojo://{facts.version.removeprefix('v')}",
            "kernelVersion": system.release,
            "kubeProxyVersion": "",
            "kubeletVersion": facts.version,
            "machineID": "",
            "operatingSystem": system.system.lower(),
            "osImage": "meshdojo (pods are processes)",
            "systemUUID": "",
        },
    }


async def _ensure(client: Client, resource: str, wanted: Object) -> Object:
    metadata = wanted["metadata"]
    try:
        return await client.get(resource, metadata["name"], metadata.get("namespace"))
    except StatusError as error:
        if error.code != 404:
            raise
    return await client.create(resource, wanted, metadata.get("namespace"))


def _node(facts: NodeFacts) -> Object:
    architecture, system = _architecture(), platform.system().lower()
    labels = {
        "beta.kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": system,
        "kubernetes.io/arch": architecture,
        "kubernetes.io/hostname": facts.name,
        "kubernetes.io/os": system,
        "node-role.kubernetes.io/control-plane": "",
    }
    metadata = {"name": facts.name, "labels": labels, "annotations": {"node.alpha.kubernetes.io/ttl": "0"}}
    spec = {"podCIDR": facts.pod_cidr, "podCIDRs": [facts.pod_cidr]} if facts.pod_cidr else {}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec}


def _lease(node: Object) -> Object:
    name, uid = node["metadata"]["name"], node["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 2 * HEARTBEAT_SECONDS, "renewTime": micro_now()},
    }


def _resources() -> Object:
    memory = max(psutil.virtual_memory().total // 1024, LEAST_MEMORY_KI)
    return {
        "cpu": str(max(os.cpu_count() or 1, LEAST_CPUS)),
        "ephemeral-storage": f"{psutil.disk_usage('/').total // 1024}Ki",
        "memory": f"{memory}Ki",
        "pods": str(PODS),
    }


def _conditions(before: Sequence[Object]) -> list[Object]:
    since = {condition["type"]: condition["lastTransitionTime"] for condition in before}
    words = (
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    )
    return [
        {
            "type": type,
            "status": status,
            "reason": reason,
            "message": message,
            "lastHeartbeatTime": now(),
            "lastTransitionTime": since.get(type) or now(),
        }
        for type, status, reason, message in words
    ]


def _architecture() -> str:
    """The machine as Go names it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine().lower())
