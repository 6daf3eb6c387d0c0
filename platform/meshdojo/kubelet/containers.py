"""A container: a process that is started, watched, restarted and stopped as a container specification says."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pty
import secrets
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import ClusterError
from meshdojo.kubelet import env
from meshdojo.kubelet.execution import Reading
from meshdojo.kubelet.images import Image, InvalidReference
from meshdojo.kubelet.input import Input
from meshdojo.kubelet.logs import RunLog
from meshdojo.kubelet.outputs import DRAIN_SECONDS
from meshdojo.kubelet.probes import Kind as ProbeKind
from meshdojo.kubelet.probes import ProbeError, Prober, Target, check
from meshdojo.kubelet.recovery import Note, recover
from meshdojo.kubelet.runtime import CommandError, command_line
from meshdojo.kubelet.spawn import Ends, ProcessSpec, Spawned, SpawnError, Survivor
from meshdojo.kubelet.status import Kind, Record
from meshdojo.kubelet.volumes import mount
from meshdojo.kubernetes.timestamps import now, parse

if TYPE_CHECKING:
    from meshdojo.kubelet.pods import PodWorker

log = logging.getLogger(__name__)

SIDECAR_NAME, INIT_NAME = "istio-proxy", "istio-init"
FIRST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS = 10.0, 300.0
_RESET_BACK_OFF_AFTER_SECONDS = 600.0
# How long the state says "terminated" before it says CrashLoopBackOff.
_SHOW_END_SECONDS = 1.0
_RETRY_CONFIG_SECONDS = 2.0
# The zygote closes a log after DRAIN_SECONDS, and may have other things to do.
_LONGEST_DRAIN_SECONDS = DRAIN_SECONDS + 3
_START_ERROR = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: "
)
_START_ERROR_CODE = 128
_FIELDS = {"main": "containers", "ephemeral": "ephemeralContainers"}
# As container runtimes set them: no core files, and room for a proxy's connections (as far as the user may).
_LIMITS = {"core": 0, "nofile": 65536}


class Container:
    """One container of a pod. `record` is what the pod's status says of it."""

    def __init__(self, pod: PodWorker, spec: Object, kind: Kind) -> None:
        self.spec = spec
        self.kind = kind
        self.name: str = spec["name"]
        self.started = asyncio.Event()  # it runs, and its startup probe has succeeded
        self.image: Image | None = None
        self.environment: dict[str, str] = {}
        self.process: Spawned | None = None
        self.log: RunLog | None = None
        self.input = Input()
        self.out_of_memory = False
        self.record = Record(self.name, kind, spec["image"], {"waiting": {"reason": "ContainerCreating"}}, spec)
        self._pod = pod
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._probes: list[asyncio.Task[None]] = []
        self._back_off = 0.0
        self._forgiven = False
        self._began = 0.0
        self._joined: set[Spawned] = set()
        self._ended_for_good = False
        self._survivor: Survivor | None = None

    @property
    def directory(self) -> Path:
        """Where its logs, volumes and termination message are."""
        return self._pod.directory / "containers" / self.name

    @property
    def root(self) -> Path:
        """What the container sees as its root directory."""
        return self.directory / "root"

    @property
    def cwd(self) -> Path:
        """Its working directory, in the file system of this machine."""
        working = self.spec.get("workingDir") or (self.image.working_directory if self.image else "/")
        return self.root / working.lstrip("/")

    @property
    def identity(self) -> str:
        """By which the zygote knows the container's processes."""
        return f"{self._pod.uid}/{self.name}"

    def log_path(self, restart_count: int) -> Path:
        """The log of one run; the first has the number 0."""
        return self.directory / f"{restart_count}.log"

    def restore(self, before: Object, survivor: Survivor | None, *, rebooted: bool) -> None:
        """Take over what the status of an earlier run of this node says ({} for nothing), and a process that lives."""
        self._ended_for_good = recover(self.record, before, survivor, self._ends_well, rebooted=rebooted)
        if survivor is None:
            return
        if self.record.running and not self._ended_for_good:
            self._survivor = survivor
        elif survivor.input >= 0:
            os.close(survivor.input)

    def adopt(self) -> str:
        """Go on with the process that an earlier run of this node has started: the pod's address, '' without one."""
        survivor = self._survivor
        if survivor is None:
            return ""
        zygote, note = self._pod.runtime.zygote, Note.of(survivor)
        with contextlib.suppress(InvalidReference):
            self.image = self._pod.runtime.images.find(self.spec["image"])
        if self.image is None:  # it was one of the user's, who has removed it since
            self.image = Image((self.spec["image"],), ())
        self.environment = note.environment
        self.input = self._input(survivor.input)
        self.log = RunLog(self.log_path(note.restart_count))
        zygote.request({"watch": self.identity}, [os.dup(self.log.bell)])
        self.log.handed_on()
        self.process = zygote.adopt(survivor)
        self.begin()
        return note.ip

    def forget(self) -> None:
        """No kubelet to come shall know of it: its pod is no more."""
        self._pod.runtime.zygote.request({"forget": self.identity})

    def begin(self) -> asyncio.Task[None]:
        """Run it, with restarts, until its final end."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"container {self.identity}")
            self._task.add_done_callback(_report)
        return self._task

    @property
    def finished(self) -> bool:
        """Whether it has ended for good."""
        return self._task is not None and self._task.done()

    def _ends_well(self, code: int) -> bool:
        """Whether this exit code is the container's final end."""
        if self.kind == "sidecar":
            return False
        if self.kind == "ephemeral":
            return True
        policy = self._pod.restart_policy
        if self.kind == "init":
            return code == 0 or policy == "Never"
        return policy == "Never" or (policy == "OnFailure" and code == 0)

    async def _run(self) -> None:
        if self._ended_for_good:
            return
        survivor, self._survivor = self._survivor, None
        while survivor is not None or not self._stopping:
            if survivor is not None:
                code, survivor = await self._go_on(Note.of(survivor)), None
            else:
                await self._prepare()
                code = await self._once()
            if self._stopping or self._ends_well(code):
                return
            await self._wait_for_restart()
            self.record.restart_count += 1

    def forgive(self) -> None:
        """Its end now is the node's fault: it is restarted at once, and that does not count towards its back-off."""
        self._forgiven = self.process is not None

    def joined(self, process: Spawned) -> None:
        """A command was started in it: it counts towards the limits until it ends."""
        self._joined.add(process)
        process.exited.add_done_callback(lambda _: self._joined.discard(process))

    def listen(self) -> dict[str, Reading]:
        """What it prints from now on, by stream. Who does not read in time loses the newest."""
        ends = {stream: os.pipe() for stream in ("stdout", "stderr")}
        self._pod.runtime.zygote.request({"listen": self.identity}, [writing for _, writing in ends.values()])
        return {stream: Reading(reading) for stream, (reading, _) in ends.items()}

    @property
    def pids(self) -> list[int]:
        """The main process, where it runs, and the commands that were started beside it."""
        return [process.pid for process in (self.process, *self._joined) if process is not None]

    # Preparation

    async def _prepare(self) -> None:
        """Wait until the image and all that the configuration refers to are there."""
        self.image = await self._find_image()
        while True:
            try:
                self.environment = await self._environment()
                return
            except (env.ConfigError, ClusterError, OSError) as error:
                self._wait("CreateContainerConfigError", str(error))
                self._warning("Failed", f"Error: {error}")
            await asyncio.sleep(_RETRY_CONFIG_SECONDS)

    async def _find_image(self) -> Image:
        reference, delay = self.spec["image"], FIRST_BACK_OFF_SECONDS
        while True:
            try:
                image = self._pod.runtime.images.find(reference)
            except InvalidReference as error:
                text = f'Failed to apply default image tag "{reference}": {error}'
                self._warning("InspectFailed", text)
                self._warning("Failed", "Error: InvalidImageName")
                self._wait("InvalidImageName", text)
            else:
                if image is not None:
                    self._pulled(reference)
                    return image
                await self._image_missing(reference)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_BACK_OFF_SECONDS)

    def _pulled(self, reference: str) -> None:
        if self.spec.get("imagePullPolicy") == "Always":
            self._normal("Pulling", f'Pulling image "{reference}"')
            self._normal("Pulled", f'Successfully pulled image "{reference}" in 1ms (1ms including waiting)')
        else:
            self._normal("Pulled", f'Container image "{reference}" already present on machine')

    async def _image_missing(self, reference: str) -> None:
        if self.spec.get("imagePullPolicy") == "Never":
            text = f'Container image "{reference}" is not present with pull policy of Never'
            self._warning("ErrImageNeverPull", text)
            self._warning("Failed", "Error: ErrImageNeverPull")
            self._wait("ErrImageNeverPull", text)
            return
        text = self._pod.runtime.images.missing(reference)
        self._normal("Pulling", f'Pulling image "{reference}"')
        self._warning("Failed", f'Failed to pull image "{reference}": {text}')
        self._warning("Failed", "Error: ErrImagePull")
        self._wait("ErrImagePull", text)
        await asyncio.sleep(_SHOW_END_SECONDS)
        self._normal("BackOff", f'Back-off pulling image "{reference}"')
        self._warning("Failed", "Error: ImagePullBackOff")
        self._wait("ImagePullBackOff", f'Back-off pulling image "{reference}": ErrImagePull: {text}')

    async def _environment(self) -> dict[str, str]:
        assert self.image is not None
        pod, runtime = self._pod, self._pod.runtime
        links = env.service_links(
            runtime.services.items(), pod.namespace, pod.object["spec"].get("enableServiceLinks", True)
        )
        base = {**runtime.default_environment(), **self.image.environment, "HOSTNAME": pod.hostname, **links}
        variables = await env.environment(pod.object, self.spec, base, runtime.fetch, pod.facts)
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "tmp").mkdir(exist_ok=True)
        mounts = mount(self.root, self.spec, pod.volumes, variables)
        self.cwd.mkdir(parents=True, exist_ok=True)
        return {
            "TMPDIR": str(self.root / "tmp"),
            **variables,
            "MESHDOJO_RUN": str(runtime.directory),
            "MESHDOJO_POD_IP": pod.ip,
            "MESHDOJO_POD_UID": pod.uid,
            "MESHDOJO_POD_NAMESPACE": pod.namespace,
            "MESHDOJO_ROOT": str(self.root),
            "MESHDOJO_MOUNTS": ":".join(mounts),
            **({"MESHDOJO_SIDECAR": "1"} if pod.captured(self) else {}),
            **({"TERM": "xterm"} if self.spec.get("tty") else {}),
            **({"MESHDOJO_REDIRECTION": pod.redirection} if pod.has_sidecar else {}),
        }

    # One run

    async def _once(self) -> int:
        """Start the process and wait for its end: the exit code."""
        record = self.record
        if "terminated" in record.state:
            record.last_state = record.state
        record.container_id = f"meshdojo://{secrets.token_hex(32)}"
        assert self.image is not None
        record.image_id = self.image.identifier
        self._began = time.monotonic()
        self.out_of_memory = False
        self._normal("Created", f"Created container: {self.name}")
        started_at = now()
        try:
            process = await self._start(started_at)
        except (CommandError, SpawnError, OSError) as error:
            return self._start_failed(_START_ERROR + str(error))
        record.state = {"running": {"startedAt": started_at}}
        self._normal("Started", f"Started container {self.name}")
        await self._post_start(process)
        self._start_probes()
        return await self._until_its_end(process, started_at)

    async def _go_on(self, note: Note) -> int:
        """Wait for the end of a process that was there already: the exit code.

        What had been started once is, and what was ready stays so until a probe says otherwise. A postStart hook is
        not run again, finished or not: nor does a real kubelet.
        """
        assert self.process is not None
        age = max(0.0, (parse(now()) - parse(note.started_at)).total_seconds())
        self._began = time.monotonic() - age
        if not self._stopping:
            self._start_probes(age)
        return await self._until_its_end(self.process, note.started_at)

    async def _until_its_end(self, process: Spawned, started_at: str) -> int:
        self._pod.changed()
        try:
            code = await process.wait()
        finally:
            self._stop_probes()
        await self._ended(code, started_at)
        return code

    async def _start(self, started_at: str) -> Spawned:
        argv = self._argv()
        if not argv:
            raise CommandError("no command specified")
        assert self.image is not None
        argv = command_line(argv, self.image, self.environment, str(self.cwd))
        path = self.log_path(self.record.restart_count)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.log = RunLog(path)
        self._forget_old_logs()
        spec = ProcessSpec(
            argv=argv,
            env=self.environment,
            cwd=str(self.cwd),
            path=self.image.path,
            container=self.identity,
            main=True,
            tty=bool(self.spec.get("tty")),
            title=self.name,
            limits=_LIMITS,
            note=self._note(started_at).pack(),
            log=path,
        )
        with contextlib.ExitStack() as descriptors:
            descriptors.callback(self.log.handed_on)
            standard, ends = self._terminal() if self.spec.get("tty") else self._pipes()
            for one in {*standard, *ends.streams}:
                descriptors.callback(os.close, one)
            if ends.input >= 0:
                self.input = self._input(os.dup(ends.input))
                if ends.input not in ends.streams:
                    descriptors.callback(os.close, ends.input)
            self.process = await self._pod.runtime.zygote.spawn(
                spec, *standard, ends=Ends(ends.streams, self.log.bell, ends.input)
            )
        return self.process

    def _note(self, started_at: str) -> Note:
        record = self.record
        return Note(
            container_id=record.container_id,
            image_id=record.image_id,
            restart_count=record.restart_count,
            started_at=started_at,
            ip=self._pod.ip,
            environment=self.environment,
            last_state=record.last_state,
        )

    def _pipes(self) -> tuple[list[int], Ends]:
        """The process' standard descriptors, and the other ends of them."""
        stdin, other = os.pipe() if self.spec.get("stdin") else (os.open(os.devnull, os.O_RDONLY), -1)
        standard, streams = [stdin], {}
        for stream in ("stdout", "stderr"):
            reading, writing = os.pipe()
            streams[reading] = stream
            standard.append(writing)
        return standard, Ends(streams, input=other)

    def _terminal(self) -> tuple[list[int], Ends]:
        """The process' standard descriptors: thrice the same terminal, and its other end."""
        ours, theirs = pty.openpty()
        return [theirs, theirs, theirs], Ends({ours: "stdout"}, input=ours)

    def _input(self, descriptor: int) -> Input:
        """Our end of the process' standard input, of which the zygote has a copy."""
        zygote, identity = self._pod.runtime.zygote, self.identity
        return Input(
            descriptor,
            terminal=bool(self.spec.get("tty")),
            closed=lambda: zygote.request({"end_input": identity}),
        )

    def _argv(self) -> list[str]:
        assert self.image is not None
        command, arguments = self.spec.get("command"), self.spec.get("args")
        words = [*(command or self.image.entrypoint)]
        words += arguments if arguments else () if command else self.image.arguments
        return [env.expand(str(word), self.environment) for word in words]

    def _forget_old_logs(self) -> None:
        """Keep the log of the run before, no more."""
        old = self.log_path(self.record.restart_count - 2)
        for path in (old, old.with_suffix(".1")):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    def _start_failed(self, text: str) -> int:
        self.input.close()
        self._close_log()
        terminated: Object = {
            "exitCode": _START_ERROR_CODE,
            "reason": "StartError",
            "message": text,
            "startedAt": "1970-01-01T00:00:00Z",
            "finishedAt": now(),
            "containerID": self.record.container_id,
        }
        self._warning("Failed", f"Error: {text}")
        if self._ends_well(_START_ERROR_CODE):
            self.record.state = {"terminated": terminated}
            self._pod.changed()
        else:
            self.record.last_state = {"terminated": terminated}
            self._wait("RunContainerError", text)
        return _START_ERROR_CODE

    async def _ended(self, code: int, started_at: str) -> None:
        record = self.record
        self.process = None
        self.started.clear()
        if self.log is not None:
            await self.log.drained(_LONGEST_DRAIN_SECONDS)
        terminated: Object = {
            "exitCode": code,
            "reason": "OOMKilled" if self.out_of_memory else "Completed" if code == 0 else "Error",
            "startedAt": started_at,
            "finishedAt": now(),
            "containerID": record.container_id,
        }
        if self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError" and code and self.log is not None:
            terminated["message"] = self.log.tail()
        self.input.close()
        self._close_log()
        record.state = {"terminated": terminated}
        record.started = False
        record.ready = self.kind == "init" and code == 0
        self._pod.changed()

    def _close_log(self) -> None:
        if self.log is not None and not self.log.closed:
            self.log.close()

    async def _wait_for_restart(self) -> None:
        """The first restart comes at once, later ones after 10 s, 20 s, ... 5 min, until it has run for 10 min."""
        if self._forgiven:
            self._forgiven = False
            return
        if time.monotonic() - self._began > _RESET_BACK_OFF_AFTER_SECONDS:
            self._back_off = 0.0
        delay = self._back_off
        self._back_off = min(max(self._back_off * 2, FIRST_BACK_OFF_SECONDS), LONGEST_BACK_OFF_SECONDS)
        if not delay:
            return
        await asyncio.sleep(min(_SHOW_END_SECONDS, delay))
        pod = self._pod
        if "terminated" in self.record.state:
            self.record.last_state = self.record.state
        where = f"{pod.name}_{pod.namespace}({pod.uid})"
        text = f"back-off {_duration(delay)} restarting failed container={self.name} pod={where}"
        self._wait("CrashLoopBackOff", text)
        self._warning("BackOff", f"Back-off restarting failed container {self.name} in pod {where}")
        await asyncio.sleep(max(0.0, delay - _SHOW_END_SECONDS))

    # Probes and hooks

    def target(self) -> Target:
        """How probes reach this container."""
        ports = {port["name"]: port["containerPort"] for port in self.spec.get("ports") or () if port.get("name")}
        runtime = self._pod.runtime
        return Target(self._pod.ip, runtime.node_ip, ports, runtime.resolver.served, self._execute)

    async def _execute(self, command: list[str], seconds: float) -> tuple[int, str]:
        return await self._pod.execute(self, command, seconds)

    async def _post_start(self, process: Spawned) -> None:
        hook = (self.spec.get("lifecycle") or {}).get("postStart")
        if not hook:
            return
        self._pod.changed()
        try:
            await check({"timeoutSeconds": 60, **hook}, self.target())
        except ProbeError:
            self._warning("FailedPostStartHook", "PostStartHook failed")
            self._normal("Killing", "FailedPostStartHook")
            await self._terminate(process, self._pod.grace_seconds)

    def _start_probes(self, age: float = 0.0) -> None:
        """`age`: so many seconds has it been running already."""
        startup = self.spec.get("startupProbe")
        if startup and not self.record.started:
            self._probe("Startup", startup, self._startup_reported, age)
        else:
            self._startup_reported(True, age)

    def _startup_reported(self, succeeded: bool, age: float = 0.0) -> None:
        if not succeeded:
            self._unhealthy("startup")
            return
        known = self.record.started
        self.record.started = True
        self.started.set()
        readiness, liveness = self.spec.get("readinessProbe"), self.spec.get("livenessProbe")
        if not known:
            self._readiness_reported(not readiness and self.kind not in ("init", "ephemeral"))
        if readiness:
            self._probe("Readiness", readiness, self._readiness_reported, age)
        if liveness:
            self._probe("Liveness", liveness, lambda alive: None if alive else self._unhealthy("liveness"), age)
        self._pod.changed()

    def _readiness_reported(self, ready: bool) -> None:
        if self.record.ready != ready and self.record.running:
            self.record.ready = ready
            self._pod.changed()

    def _probe(self, kind: ProbeKind, probe: Object, report: Any, age: float) -> None:
        prober = Prober(
            kind,
            probe,
            self.target(),
            report,
            lambda text: self._warning("Unhealthy", text),
            age=age,
            succeeded=kind == "Readiness" and self.record.ready,
        )
        self._probes.append(asyncio.create_task(prober.run(), name=f"{kind} probe {self.identity}"))

    def _stop_probes(self) -> None:
        current = asyncio.current_task()
        for task in self._probes:
            if task is not current:
                task.cancel()
        self._probes.clear()

    def _unhealthy(self, probe: str) -> None:
        if self.process is None or self._stopping:
            return
        self._normal("Killing", f"Container {self.name} failed {probe} probe, will be restarted")
        seconds = (self.spec.get(f"{probe}Probe") or {}).get("terminationGracePeriodSeconds")
        grace = self._pod.grace_seconds if seconds is None else float(seconds)
        self._pod.background(self._terminate(self.process, grace))
        self._stop_probes()

    # The end

    async def stop(self, grace: float) -> None:
        """Stop for good: preStop, SIGTERM, and after `grace` seconds SIGKILL. Returns when it has ended."""
        self._stopping = True
        self._stop_probes()
        task = self._task
        if task is None or task.done():
            return
        if self.process is None:
            task.cancel()
        else:
            self._normal("Killing", f"Stopping container {self.name}")
            await self._terminate(self.process, grace)
        await asyncio.gather(task, return_exceptions=True)
        self._close_log()

    async def _terminate(self, process: Spawned, grace: float) -> None:
        deadline = time.monotonic() + grace
        await self._pre_stop(grace)
        process.signal(signal.SIGTERM, group=False)
        try:
            await asyncio.wait_for(asyncio.shield(process.exited), max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            process.signal(signal.SIGKILL)
            await asyncio.shield(process.exited)

    async def _pre_stop(self, grace: float) -> None:
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if not hook or grace <= 0:
            return
        try:
            async with asyncio.timeout(grace):
                await check({"timeoutSeconds": grace, **hook}, self.target())
        except TimeoutError:
            log.info("%s: the preStop hook took longer than the grace period", self.identity)
        except ProbeError:
            self._warning("FailedPreStopHook", "PreStopHook failed")

    def kill(self) -> None:
        """End it at once (out of memory, a forced deletion)."""
        if self.process is not None:
            self.process.signal(signal.SIGKILL)

    def too_many_processes(self, found: int, allowed: int) -> None:
        """End it: it started more processes than a container may."""
        self._warning("ProcessLimitExceeded", f"Container {self.name} ran {found} processes; allowed are {allowed}")
        self.kill()

    # Reporting

    def _wait(self, reason: str, message: str = "") -> None:
        state = {"reason": reason, "message": message} if message else {"reason": reason}
        self.record.state = {"waiting": state}
        self.record.started = self.record.ready = False
        self._pod.changed()

    @property
    def _field_path(self) -> str:
        return f"spec.{_FIELDS.get(self.kind, 'initContainers')}{{{self.name}}}"

    def _normal(self, reason: str, message: str) -> None:
        self._pod.runtime.recorder.normal(self._pod.object, reason, message, self._field_path)

    def _warning(self, reason: str, message: str) -> None:
        self._pod.runtime.recorder.warning(self._pod.object, reason, message, self._field_path)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s failed", task.get_name(), exc_info=error)


def _duration(seconds: float) -> str:
    """As Go prints a duration: 10s, 1m20s, 5m0s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
