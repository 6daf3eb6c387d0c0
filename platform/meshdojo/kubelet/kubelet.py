"""`Kubelet`: the node. Runs the pods that are bound to it, and answers the API server (`kubernetes.node.Node`)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import shutil
import signal
import time
from asyncio import StreamReader, StreamWriter
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path

from meshdojo.cluster.client import Client, Object
from meshdojo.cluster.clock import LOOK_SECONDS, Clock
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Informers
from meshdojo.kubelet import logs
from meshdojo.kubelet.addresses import Addresses
from meshdojo.kubelet.containers import Container
from meshdojo.kubelet.execution import ContainerProcess, ExecError, start
from meshdojo.kubelet.images import Image, ImageTable
from meshdojo.kubelet.lifeline import Lifeline
from meshdojo.kubelet.limits import LimitWatcher
from meshdojo.kubelet.nodeports import NODE_PROXY, NodePorts
from meshdojo.kubelet.pods import PodWorker
from meshdojo.kubelet.processes import PROCESSES
from meshdojo.kubelet.recovery import Note
from meshdojo.kubelet.resolver import Resolver
from meshdojo.kubelet.runtime import Runtime
from meshdojo.kubelet.spawn import Zygote
from meshdojo.kubelet.usage import UsageMeter
from meshdojo.kubelet.volumes import refers_to
from meshdojo.kubernetes.controllers.events import Events
from meshdojo.kubernetes.node import LogOptions, NodeUsage, Process
from meshdojo.network import Block, mapped_port, twin

log = logging.getLogger(__name__)

NODE_NAME = "meshdojo"
# Ports that a sidecar serves for its own pod, on the pod's IP.
_SIDECAR_PORTS = range(15000, 15100)
_ADMIN_PORT = 15000
_FILES = 65536
# So many may die in as many seconds.
_ZYGOTES = 20
# What the zygote keeps the resolver's listening socket by.
_RESOLVER = "resolver"


class Kubelet:
    """The only node of an embedded cluster.

    `run_directory` is the environment's private, short directory; `images` all images that exist; `preload` the
    modules that the zygote imports before it forks, `later` those that it imports when idle; `environment` variables
    that every container gets. `informers` and `events` may be shared with others in the process (who start and stop
    them). By an inherited `lifeline` it takes over the containers of a kubelet that is no more.
    """

    def __init__(
        self,
        client: Client,
        block: Block,
        run_directory: Path,
        images: Iterable[Image] | ImageTable,
        *,
        node_name: str = NODE_NAME,
        preload: Sequence[str] = (),
        later: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        informers: Informers | None = None,
        events: Events | None = None,
        lifeline: Lifeline | None = None,
    ) -> None:
        self._informers = informers or Informers(client)
        self.events = events or Events(client)
        self._owns_informers, self._owns_events = informers is None, events is None
        self._services = self._informers.of("services")
        self._pods = self._informers.of("pods")
        self._configuration = [self._informers.of("configmaps"), self._informers.of("secrets")]
        self._workers: dict[str, PodWorker] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._meter = UsageMeter(self._measured, self._own_processes)
        self._zygotes: deque[float] = deque(maxlen=_ZYGOTES)
        self.zygote = Zygote(
            run_directory / PROCESSES, preload=preload, later=later, died=self._zygote_died, lifeline=lifeline
        )
        slices = self._informers.of("endpointslices.discovery.k8s.io")
        self.resolver = Resolver(block, self._services, slices)
        self.node_ports = NodePorts(self.zygote, self.resolver, self._services, slices, str(block.node))
        self.runtime = Runtime(
            client=client,
            block=block,
            node_name=node_name,
            directory=run_directory,
            images=images if isinstance(images, ImageTable) else ImageTable(images),
            zygote=self.zygote,
            recorder=self.events.recorder("kubelet", node_name),
            resolver=self.resolver,
            services=self._services,
            addresses=Addresses(block),
            environment=dict(environment or {}),
        )

    async def start_processes(self) -> None:
        """Start the zygote, which needs no API. `start` does it if this was not called before."""
        if self.zygote.pid is None:
            await self.zygote.start()

    async def start(self) -> None:
        """Start the node: clean up what an earlier run left, then bring the pods (back) to life, or go on with them."""
        runtime = self.runtime
        _allow_many_files()
        (runtime.directory / "pods").mkdir(parents=True, exist_ok=True)
        await self.start_processes()
        runtime.rebooted = not self.zygote.taken_over
        runtime.write_tools()
        if self._owns_events:
            self.events.start()
        await self._informers.start()
        # Whoever asks waits until now, where another resolver has answered before.
        await self.resolver.serve(runtime.directory / "network.sock", self.zygote.kept(_RESOLVER))
        self.zygote.keep(_RESOLVER, self.resolver.descriptor)
        self._keep_addresses()
        await asyncio.to_thread(self._remove_orphans)
        self._pods.subscribe(self._pod_changed)
        self._end_strangers()
        for informer in self._configuration:
            informer.subscribe(self._configuration_changed)
        self.node_ports.start()
        limits = LimitWatcher(lambda: [one for worker in self._workers.values() for one in worker.containers])
        self._tasks.append(asyncio.create_task(limits.run(), name="kubelet limits"))
        self._tasks.append(asyncio.create_task(self._meter.run(), name="kubelet usage"))
        self._tasks.append(asyncio.create_task(self._renew_tokens(), name="kubelet tokens"))

    async def stop(self) -> None:
        """End all processes. The pods' objects stay, and come back with the next start."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await self.node_ports.stop()
        await asyncio.gather(*(worker.abandon() for worker in self._workers.values()))
        if self._owns_informers:
            await self._informers.stop()
        if self._owns_events:
            await self.events.stop()
        await self.resolver.close()
        await self.zygote.stop()

    # Pods

    def _keep_addresses(self) -> None:
        found = {(pod.get("status") or {}).get("podIP") for pod in self._pods.items() if self._is_here(pod)}
        found |= {Note.of(one).ip for one in self.zygote.survivors.values() if one.status is None and one.note}
        for ip in found:
            if ip and self.runtime.addresses.reserve(ip):
                self.runtime.kept.add(ip)

    def _end_strangers(self) -> None:
        """End the containers that the zygote has, and no pod any more: the pods were deleted at once."""
        for container in [name for name in self.zygote.survivors if name != NODE_PROXY]:
            survivor = self.zygote.survivor(container)
            assert survivor is not None
            if survivor.status is None:
                self.zygote.adopt(survivor).signal(signal.SIGKILL)
            if survivor.input >= 0:
                os.close(survivor.input)
            self.zygote.request({"forget": container})

    def _remove_orphans(self) -> None:
        """Remove the directories of pods that were deleted while the node was down."""
        known = {pod["metadata"]["uid"] for pod in self._pods.items()}
        for directory in (self.runtime.directory / "pods").iterdir():
            if directory.name not in known:
                shutil.rmtree(directory, ignore_errors=True)

    def _is_here(self, pod: Object) -> bool:
        return bool(pod["spec"].get("nodeName") == self.runtime.node_name)

    def _pod_changed(self, change: str, old: Object | None, new: Object | None) -> None:
        pod = new or old
        if pod is None or not self._is_here(pod) or self._stopping:
            return
        uid = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if change == "DELETED":
            if worker is not None:
                worker.remove()
        elif worker is not None:
            worker.update(pod)
        else:
            self._begin(pod)

    def _begin(self, pod: Object) -> None:
        worker = PodWorker(self.runtime, pod)
        self._workers[worker.uid] = worker
        worker.update(pod)
        worker.begin()
        worker.background(self._forget(worker))

    async def _forget(self, worker: PodWorker) -> None:
        await worker.ended()
        self._workers.pop(worker.uid, None)

    def _configuration_changed(self, change: str, old: Object | None, new: Object | None) -> None:
        obj = new or old
        if obj is None or (change == "ADDED" and not self._workers):
            return
        resource = "secrets" if obj.get("kind") == "Secret" or "type" in obj else "configmaps"
        for worker in self._workers.values():
            if worker.namespace == obj["metadata"]["namespace"] and refers_to(
                worker.object, resource, obj["metadata"]["name"]
            ):
                worker.background(worker.refresh_volumes())

    async def _renew_tokens(self) -> None:
        clock = Clock()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            # After a jump back the tokens are of the future, after one ahead or a sleep they may have expired.
            jump = clock.jumped()
            if jump:
                log.info("the clock jumped by %.0f s: tokens are renewed", jump)
            for worker in list(self._workers.values()):
                due = worker.volumes.refresh_at
                if due is not None and (jump or due <= time.time()):
                    await worker.refresh_volumes()

    def _zygote_died(self) -> None:
        """All containers have ended with it; their restarts need a new one."""
        if not self._stopping:
            for worker in self._workers.values():
                for container in worker.containers:
                    container.forgive()
            self._tasks.append(asyncio.create_task(self._new_zygote(), name="new zygote"))

    async def _new_zygote(self) -> None:
        # One that cannot live is not started in a tight loop.
        crowded = len(self._zygotes) == _ZYGOTES and time.monotonic() - self._zygotes[0] < _ZYGOTES
        await asyncio.sleep(1 if crowded else 0)
        self._zygotes.append(time.monotonic())
        await self.zygote.start()

    # Node

    def transport(self, address: str, port: int) -> tuple[str, int]:
        """See `kubernetes.node.Node`."""
        return self.resolver.endpoint(address, port)

    async def usage(self) -> NodeUsage:
        """See `kubernetes.node.Node`."""
        return await self._meter.measure()

    def _measured(self) -> dict[tuple[str, str, str], Container]:
        return {
            (worker.namespace, worker.name, container.name): container
            for worker in self._workers.values()
            for container in worker.containers
        }

    def _own_processes(self) -> list[int]:
        zygote = self.zygote.pid
        return [os.getpid(), *([zygote] if zygote is not None else ())]

    async def logs(self, namespace: str, pod: str, options: LogOptions) -> AsyncIterator[bytes]:
        """See `kubernetes.node.Node`."""
        worker = self._worker(namespace, pod)
        container = self._container(worker, options.container)
        await self.zygote.flush(container.identity)
        record = container.record
        run = record.restart_count - 1 if options.previous else record.restart_count
        if not container.log_path(run).exists() and not options.previous and record.last_state:
            run -= 1  # waiting for its next start: the log is the last run's
        path = container.log_path(run)
        if not path.exists():
            raise _no_log(container, pod, options.previous)
        writer = container.log if container.log is not None and container.log.path == path else None
        return logs.read(path, writer, options)

    async def exec(
        self, namespace: str, pod: str, container: str, command: list[str], *, stdin: bool, tty: bool
    ) -> ContainerProcess:
        """See `kubernetes.node.Node`."""
        worker = self._worker(namespace, pod)
        found = self._running(worker, container, "exec into")
        try:
            return await start(self.runtime, found, command, stdin=stdin, tty=tty)
        except ExecError as error:
            raise StatusError(
                500,
                "InternalError",
                # A real kubelet says it twice.
                "Internal error occurred: Internal error occurred: error executing command in container: "
                "failed to exec in container: "
                f'failed to start exec "{found.record.container_id.rpartition("/")[2]}": {error}',
                {"causes": [{"message": str(error)}]},
            ) from error

    async def attach(self, namespace: str, pod: str, container: str, *, stdin: bool, tty: bool) -> AttachedProcess:
        """See `kubernetes.node.Node`. Gives the output from now on."""
        worker = self._worker(namespace, pod)
        return AttachedProcess(self._running(worker, container, "attach"))

    async def connect(self, namespace: str, pod: str, port: int) -> tuple[StreamReader, StreamWriter]:
        """See `kubernetes.node.Node`."""
        worker = self._worker(namespace, pod)
        admin = worker.directory / "admin.sock"
        if port == _ADMIN_PORT and admin.exists():
            return await asyncio.open_unix_connection(str(admin))
        addresses = [twin(worker.ip), worker.ip] if worker.ip else []
        if worker.has_sidecar and len(worker.containers) > 1 and port not in _SIDECAR_PORTS:
            addresses = addresses[:1]
        for address in addresses:
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(address, mapped_port(port))
        sandbox = worker.uid.replace("-", "") * 2
        raise StatusError(
            500,
            "InternalError",
            f"error forwarding port {port} to pod {sandbox}, uid : failed to connect to localhost:{port} inside "
            f'namespace "{sandbox}", IPv4: dial tcp4 127.0.0.1:{port}: connect: connection refused ',
        )

    def _worker(self, namespace: str, pod: str) -> PodWorker:
        obj = self._pods.get(namespace, pod)
        worker = self._workers.get(obj["metadata"]["uid"]) if obj is not None else None
        if worker is None:
            if obj is not None:
                raise StatusError(400, "BadRequest", f"pod {pod} does not have a host assigned")
            raise StatusError(404, "NotFound", f'pods "{pod}" not found', {"name": pod, "kind": "pods"})
        return worker

    def _container(self, worker: PodWorker, name: str) -> Container:
        if name:
            container = worker.container(name)
            if container is None:
                raise StatusError(400, "BadRequest", f"container {name} is not valid for pod {worker.name}")
            return container
        if len(worker.containers) == 1:
            return worker.containers[0]
        raise _choose(worker)

    def _running(self, worker: PodWorker, name: str, purpose: str) -> Container:
        container = self._container(worker, name)
        phase = (worker.object.get("status") or {}).get("phase")
        if container.process is None:
            if phase in ("Succeeded", "Failed"):
                raise StatusError(
                    400,
                    "BadRequest",
                    f"cannot {purpose} a container in a completed pod; current phase is {phase}",
                )
            raise StatusError(
                500,
                "InternalError",
                f'Internal error occurred: unable to upgrade connection: container not found ("{container.name}")',
            )
        return container


def _allow_many_files() -> None:
    """Every container has a bell here, every client of a container pipes: take all that the user may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _choose(worker: PodWorker) -> StatusError:
    main = " ".join(c.name for c in worker.containers if c.kind == "main")
    init = " ".join(c.name for c in worker.containers if c.kind in ("init", "sidecar"))
    text = f"a container name must be specified for pod {worker.name}, choose one of: [{main}]"
    return StatusError(400, "BadRequest", text + (f" or one of the init containers: [{init}]" if init else ""))


def _no_log(container: Container, pod: str, previous: bool) -> StatusError:
    record = container.record
    if previous:
        text = f'previous terminated container "{container.name}" in pod "{pod}" not found'
        return StatusError(400, "BadRequest", text)
    reason = (record.state.get("waiting") or {}).get("reason", "ContainerCreating")
    words = {
        "ErrImagePull": "image can't be pulled",
        "ImagePullBackOff": "trying and failing to pull image",
    }.get(reason, reason)
    return StatusError(400, "BadRequest", f'container "{container.name}" in pod "{pod}" is waiting to start: {words}')


class AttachedProcess(Process):
    """The main process of a container, as ``kubectl attach`` sees it: its output from now on, and its input."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._process = container.process
        self._input = container.input
        self._output = container.listen()

    async def write_stdin(self, data: bytes) -> None:
        if self._container.spec.get("stdin"):
            await self._input.write(data)

    async def close_stdin(self) -> None:
        """Its input has ended, where it is for one client only (``stdinOnce``) and no terminal."""
        if self._container.spec.get("stdinOnce") and not self._container.spec.get("tty"):
            await self._input.end()

    def stdout(self) -> AsyncIterator[bytes]:
        return self._output["stdout"].chunks()

    def stderr(self) -> AsyncIterator[bytes]:
        return self._output["stderr"].chunks()

    async def resize(self, width: int, height: int) -> None:
        self._input.resize(width, height)

    async def wait(self) -> int:
        return await self._process.wait() if self._process is not None else 0

    async def kill(self) -> None:
        """The client has gone; the container goes on, without input if that was for one client only."""
        for reading in self._output.values():
            reading.close()
        await self.close_stdin()
