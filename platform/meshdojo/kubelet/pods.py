"""The life of a pod: address, volumes, init containers, sidecars, containers, status, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shlex
import shutil
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import ClusterError, StatusError, Unreachable
from meshdojo.kubelet.containers import INIT_NAME, SIDECAR_NAME, Container
from meshdojo.kubelet.execution import run_command
from meshdojo.kubelet.runtime import Runtime
from meshdojo.kubelet.status import Facts, build
from meshdojo.kubelet.volumes import MountError, Volumes
from meshdojo.kubernetes.timestamps import now

log = logging.getLogger(__name__)

_RETRY_MOUNT_SECONDS = 0.5
_LONGEST_RETRY_SECONDS = 10.0
_RETRY_STATUS_SECONDS = 0.2
DEFAULT_GRACE_SECONDS = 30.0
FINISHED = ("Succeeded", "Failed")


class PodWorker:
    """One pod on this node, from its appearance in the API to its removal."""

    def __init__(self, runtime: Runtime, pod: Object) -> None:
        self.runtime = runtime
        self.object = pod
        metadata = pod["metadata"]
        self.uid: str = metadata["uid"]
        self.name: str = metadata["name"]
        self.namespace: str = metadata["namespace"]
        self.ip = ""
        self.directory: Path = runtime.directory / "pods" / self.uid
        self.volumes = Volumes(self.directory / "volumes", runtime.client, runtime.fetch)
        self.containers = _containers(self)
        self._start_time = (pod.get("status") or {}).get("startTime") or now()
        self._sandbox = False  # its address and volumes are there
        self._reason = self._message = ""
        self._dirty = asyncio.Event()
        self._deleting = asyncio.Event()
        self._removed = False
        self._background: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    # What containers ask

    @property
    def restart_policy(self) -> str:
        """``Always`` by default, ``OnFailure`` or ``Never``."""
        return str(self.object["spec"].get("restartPolicy", "Always"))

    @property
    def grace_seconds(self) -> float:
        """How long a container may take to end."""
        deletion = self.object["metadata"].get("deletionGracePeriodSeconds")
        value = deletion if deletion is not None else self.object["spec"].get("terminationGracePeriodSeconds")
        return DEFAULT_GRACE_SECONDS if value is None else float(value)

    @property
    def hostname(self) -> str:
        """What the pod's programs take for the name of their machine (at most 63 characters)."""
        return str(self.object["spec"].get("hostname") or self.name)[:63]

    @property
    def facts(self) -> dict[str, str]:
        """The status fields that the downward API can name."""
        node = self.runtime.node_ip
        return {"podIP": self.ip, "podIPs": self.ip, "hostIP": node, "hostIPs": node}

    @property
    def has_sidecar(self) -> bool:
        """Whether a container takes the pod's connections: see `network`."""
        return any(container.name == SIDECAR_NAME for container in self.containers)

    @property
    def redirection(self) -> str:
        """What the sidecar takes, in the words of ``istio-init``: on a real node it makes the rules of iptables."""
        inits = self.object["spec"].get("initContainers") or ()
        return shlex.join(word for one in inits if one["name"] == INIT_NAME for word in one.get("args") or ())

    def captured(self, container: Container) -> bool:
        """Whether the sidecar takes this container's connections: those of all but itself and what starts before it."""
        names = [other.name for other in self.containers if other.kind != "main"]
        if container.name == SIDECAR_NAME or not self.has_sidecar:
            return False
        if container.kind in ("main", "ephemeral"):
            return len(self.containers) > 1
        return SIDECAR_NAME in names and names.index(container.name) > names.index(SIDECAR_NAME)

    def changed(self) -> None:
        """Something that the status tells has changed: it is written soon, together with what else changes."""
        self._dirty.set()

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the pod's life."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def execute(self, container: Container, command: list[str], seconds: float) -> tuple[int, str]:
        """Run a command in a container to its end: (exit code, output). Raises TimeoutError after `seconds`."""
        return await run_command(self.runtime, container, command, seconds)

    def container(self, name: str) -> Container | None:
        """The container of this name, init containers included."""
        return next((container for container in self.containers if container.name == name), None)

    # The pod's life

    def begin(self) -> None:
        """Start the pod's life in the background, or go on with what an earlier run of this node left of it."""
        addresses = {container.adopt() for container in self.containers} - {""}
        if addresses:
            self.ip = addresses.pop()
            self._sandbox = True
        elif not self.runtime.rebooted and (self.object.get("status") or {}).get("podIP") in self.runtime.kept:
            self._take_address()
            self._sandbox = True
        self._task = asyncio.create_task(self._run(), name=f"pod {self.namespace}/{self.name}")

    def update(self, pod: Object) -> None:
        """The object changed in the API."""
        self.object = pod
        self._look_in()
        if pod["metadata"].get("deletionTimestamp"):
            self._deleting.set()

    def _look_in(self) -> None:
        """Start the ephemeral containers that ``kubectl debug`` has added."""
        for spec in self.object["spec"].get("ephemeralContainers") or ():
            if self.container(spec["name"]) is None:
                self.containers.append(Container(self, spec, "ephemeral"))
        if self._sandbox and not self._deleting.is_set():
            for container in self.containers:
                if container.kind == "ephemeral":
                    container.begin()

    def remove(self) -> None:
        """The object is gone from the API: a forced deletion. Everything ends at once."""
        self._removed = True
        self._deleting.set()
        for container in self.containers:
            container.kill()

    async def ended(self) -> None:
        """Wait until nothing of the pod is left."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def abandon(self) -> None:
        """The node stops: end all processes, and leave the object for the next start."""
        for task in (self._task, *self._background):
            if task is not None:
                task.cancel()
        await asyncio.gather(*(container.stop(0) for container in self.containers), return_exceptions=True)

    async def _run(self) -> None:
        writer = asyncio.create_task(self._write_statuses(), name=f"status of {self.namespace}/{self.name}")
        try:
            await self._live()
            await self._deleting.wait()
            await self._terminate()
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            for container in self.containers:
                container.forget()
            await asyncio.to_thread(shutil.rmtree, self.directory, True)
            await self._delete()
        except Exception:
            log.exception("pod %s/%s", self.namespace, self.name)
        finally:
            writer.cancel()
            if self.ip:
                self.runtime.addresses.release(self.ip)

    async def _live(self) -> None:
        """Until all containers have ended for good, or the pod is to be deleted."""
        if (self.object.get("status") or {}).get("phase") in FINISHED:
            return
        self.changed()
        life = asyncio.create_task(self._start(), name=f"start {self.namespace}/{self.name}")
        deletion = asyncio.create_task(self._deleting.wait())
        try:
            await asyncio.wait({life, deletion}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            deletion.cancel()
            if not life.done():
                life.cancel()
            await asyncio.gather(life, return_exceptions=True)
        if not life.cancelled() and (error := life.exception()) is not None:
            raise error

    async def _start(self) -> None:
        if self._sandbox:
            self.background(self.refresh_volumes())
        else:
            self._take_address()
            await self._mount()
            self._sandbox = True
        self.changed()
        self._look_in()
        for container in list(self.containers):
            if container.kind == "init":
                await asyncio.wait({container.begin()})  # `wait`, so that a deletion does not cancel it
                if container.record.exit_code:
                    return  # with restartPolicy Never: the pod has failed
            elif container.kind == "sidecar":
                container.begin()
                await container.started.wait()
        await asyncio.wait({container.begin() for container in self.containers if container.kind == "main"})
        visitors = [container for container in self.containers if container.kind == "ephemeral"]
        await asyncio.gather(*(container.stop(self.grace_seconds) for container in visitors))
        await self._stop_sidecars(self.grace_seconds)
        self.changed()

    def _take_address(self) -> None:
        before = (self.object.get("status") or {}).get("podIP") or ""
        addresses = self.runtime.addresses
        if not self.ip:
            self.ip = before if before and before in self.runtime.kept else addresses.allocate()

    async def _mount(self) -> None:
        delay = _RETRY_MOUNT_SECONDS
        while True:
            try:
                self.directory.mkdir(parents=True, exist_ok=True)
                await self.volumes.make(self.object, self.facts)
                return
            except (MountError, Unreachable, OSError) as error:
                self.runtime.recorder.warning(self.object, "FailedMount", str(error))
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_RETRY_SECONDS)

    async def refresh_volumes(self) -> None:
        """Write the volumes anew, after a config map, a secret, a label or a token's age has changed."""
        if not self._sandbox or self._deleting.is_set():
            return
        try:
            await self.volumes.make(self.object, self.facts)
        except (MountError, Unreachable) as error:
            self.runtime.recorder.warning(self.object, "FailedMount", str(error))
            self.volumes.refresh_at = time.time() + _LONGEST_RETRY_SECONDS

    # The end

    async def _terminate(self) -> None:
        """Stop the containers together, then the sidecars one after the other, the last first."""
        deadline = time.monotonic() + self.grace_seconds
        others = [container for container in self.containers if container.kind != "sidecar"]
        await asyncio.gather(*(container.stop(0 if self._removed else self.grace_seconds) for container in others))
        await self._stop_sidecars(0 if self._removed else max(1.0, deadline - time.monotonic()))
        for task in self._background:
            task.cancel()
        self.changed()

    async def _stop_sidecars(self, grace: float) -> None:
        for container in reversed([container for container in self.containers if container.kind == "sidecar"]):
            await container.stop(grace)

    async def _delete(self) -> None:
        """Remove the object from the API, after a last status."""
        if self._removed:
            return
        with contextlib.suppress(ClusterError):
            await self._write_status()
        while True:
            try:
                await self.runtime.client.delete("pods", self.name, self.namespace, grace_seconds=0, uid=self.uid)
                return
            except StatusError as error:
                if error.code not in (404, 409):
                    log.warning("cannot delete pod %s/%s: %s", self.namespace, self.name, error)
                return
            except Unreachable:
                await asyncio.sleep(1)

    # The status

    def status(self) -> Object:
        """What the API should say of the pod now."""
        facts = Facts(
            host_ip=self.runtime.node_ip,
            ip=self.ip if self._sandbox else "",
            start_time=self._start_time,
            sandbox=self._sandbox,
            reason=self._reason,
            message=self._message,
        )
        return build(self.object, [container.record for container in self.containers], facts, now())

    async def _write_statuses(self) -> None:
        while True:
            await self._dirty.wait()
            await asyncio.sleep(0)  # whatever else changes in this turn of the loop goes along
            self._dirty.clear()
            try:
                await self._write_status()
            except StatusError as error:
                if error.code in (404, 409):
                    continue  # replaced or gone: the informer tells
                log.warning("status of pod %s/%s: %s", self.namespace, self.name, error)
                await asyncio.sleep(_RETRY_STATUS_SECONDS)
                self._dirty.set()
            except Unreachable:
                await asyncio.sleep(_RETRY_STATUS_SECONDS)
                self._dirty.set()

    async def _write_status(self) -> None:
        before = self.object.get("status") or {}
        status = self.status()
        if all(before.get(key) == value for key, value in status.items()):
            return
        patch = {"metadata": {"uid": self.uid}, "status": status}
        self.object = await self.runtime.client.patch(
            "pods", self.name, patch, self.namespace, type="merge", subresource="status"
        )


def _containers(pod: PodWorker) -> list[Container]:
    """Init containers and sidecars in order, then the others; with what an earlier run of the node left."""
    spec = pod.object["spec"]
    found = [
        Container(pod, one, "sidecar" if one.get("restartPolicy") == "Always" else "init")
        for one in spec.get("initContainers") or ()
    ]
    if found:
        for container in found:
            container.record.state = {"waiting": {"reason": "PodInitializing"}}
    main = [Container(pod, one, "main") for one in spec["containers"]]
    for container in main if found else ():
        container.record.state = {"waiting": {"reason": "PodInitializing"}}
    visitors = [Container(pod, one, "ephemeral") for one in spec.get("ephemeralContainers") or ()]
    status = pod.object.get("status") or {}
    kinds = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    before = {one["name"]: one for kind in kinds for one in status.get(kind) or ()}
    finished = status.get("phase") in FINISHED
    for container in (*found, *main, *visitors):
        survivor = None if finished else pod.runtime.zygote.survivor(container.identity)
        container.restore(before.get(container.name) or {}, survivor, rebooted=pod.runtime.rebooted)
    return [*found, *main, *visitors]
