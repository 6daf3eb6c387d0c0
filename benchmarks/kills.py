"""``python -m benchmarks.kills [--kills 500]``: kill -9 of any process at any moment.

A client writes without a pause; whatever was acknowledged must be there at the end, with its last value. Victims are
drawn by chance among kinds, then among processes: the cluster process, its keeper, the zygote, its standby, the node
proxy, and in pods istiod, Envoys and apps, some with a sidecar. Nobody helps: what heals is the environment itself.
Measured is how long it takes from a kill until the API answers and every pod is ready again; a pod whose container was
killed is replaced afterwards, since a second kill of the same one is answered with Kubernetes' own back-off.

The end of the cluster process must not touch the pods: requests go to all of them meanwhile, none of their containers
may have been started again, and it has healed only when a command runs in each of them.

``--plain`` leaves Istio out. After ``--minutes`` (or Ctrl-C) it says what has come of the kills until then.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import ClusterError, StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.embedded import installation, keeping, lifecycle
from meshdojo.embedded.environment import Environment
from meshdojo.embedded.processes import ProcessName
from meshdojo.kubelet.processes import PROCESSES, standby_file, zygote_of
from meshdojo.network import mapped_port

NAMESPACE = "default"
PODS = 2
PORT = 5000
PATIENCE_SECONDS = 120.0


@dataclass
class Written:
    """What the API has acknowledged: the last value of each object, and how many writes there were."""

    values: dict[str, str] = field(default_factory=dict)
    # A write whose answer never came: it may have happened or not.
    doubtful: dict[str, str] = field(default_factory=dict)
    count: int = 0


async def write(environment: Environment, written: Written, stop: asyncio.Event) -> None:
    """Write config maps, one after the other, until told to stop."""
    number = 0
    while not stop.is_set():
        try:
            async with HTTPClient.from_kubeconfig(environment.kubeconfig) as client:
                while not stop.is_set():
                    number += 1
                    name, value = f"kept-{number % 50}", str(number)
                    written.doubtful[name] = value
                    await _put(client, name, value)
                    written.values[name] = value
                    written.count += 1
        except (ClusterError, OSError):
            await asyncio.sleep(0.02)


async def _put(client: HTTPClient, name: str, value: str) -> None:
    body = {"metadata": {"name": name}, "data": {"n": value}}
    try:
        await client.patch("configmaps", name, {"data": {"n": value}}, NAMESPACE)
    except StatusError as error:
        if error.code != 404:
            raise
        await client.create("configmaps", body, NAMESPACE)


async def furnish(environment: Environment, *, istio: bool) -> None:
    """Deployments whose pods are killed."""
    async with HTTPClient.from_kubeconfig(environment.kubeconfig) as client:
        if istio:
            await installation.install(client, "demo", lambda text: None)
            await client.patch("namespaces", NAMESPACE, {"metadata": {"labels": {"istio-injection": "enabled"}}})
        await client.create("deployments.apps", _deployment("victim", {"sidecar.istio.io/inject": "true"}), NAMESPACE)
        await client.create("deployments.apps", _deployment("plain", {"sidecar.istio.io/inject": "false"}), NAMESPACE)
    await healed(environment)


def _deployment(name: str, labels: dict[str, str]) -> dict[str, object]:
    probe = {"httpGet": {"path": "/health", "port": PORT}, "periodSeconds": 1}
    ports = [{"containerPort": PORT}]  # without it a sidecar has no listener there
    container = {"name": "c", "image": "istio/examples-helloworld-v1", "readinessProbe": probe, "ports": ports}
    template = {"metadata": {"labels": {"app": name, **labels}}, "spec": {"containers": [container]}}
    spec = {"replicas": PODS, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"metadata": {"name": name}, "spec": spec}


async def healed(environment: Environment) -> None:
    """Return when the API answers, and every pod that there should be is ready."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                async with HTTPClient.from_kubeconfig(environment.kubeconfig) as client:
                    deployments = (await client.list("deployments.apps")).items
                    pods = (await client.list("pods")).items
                staying = [pod for pod in pods if _stays(pod)]
                wanted = sum(one["spec"]["replicas"] for one in deployments)
                if len(staying) == wanted and all(map(_ready, staying)):
                    return
            except (ClusterError, OSError):
                pass
            await asyncio.sleep(0.01)


def _stays(pod: Object) -> bool:
    return "deletionTimestamp" not in pod["metadata"]


def _ready(pod: Object) -> bool:
    status = pod.get("status")
    conditions = status.get("conditions", []) if isinstance(status, dict) else []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def victims(environment: Environment) -> dict[str, list[int]]:
    """Kind -> pids that may be killed now."""
    found: dict[str, list[int]] = defaultdict(list)
    process, keeper = lifecycle.running(environment), keeping.keeper_of(environment)
    zygote = zygote_of(environment.run / PROCESSES)
    if process is None or keeper is None or zygote is None:
        return found
    found["cluster"], found["keeper"], found["zygote"] = [process.pid], [keeper.pid], [zygote]
    with suppress(psutil.Error):
        for child in psutil.Process(zygote).children(recursive=True):
            with suppress(psutil.Error):
                found[_kind(" ".join(child.cmdline()))].append(child.pid)
    return found


# Part of a command line -> kind; the first that fits.
_KINDS = {
    "meshdojo.kubelet.nodeproxy": "node proxy",
    "meshdojo.kubelet.zygote": "standby",
    "samples.helloworld": "app",
    "meshdojo.istio.pilot": "istiod",
    "envoy": "Envoy",
    "meshdojo.istio.agent": "Envoy",
}


def _kind(command: str) -> str:
    return next((kind for part, kind in _KINDS.items() if part in command), "other")


_IN_PODS = ("app", "istiod", "Envoy", "other")


@dataclass
class Requests:
    """Requests to all pods, while the cluster process was away."""

    sent: int = 0
    failed: list[str] = field(default_factory=list)

    async def send(self, addresses: list[str]) -> None:
        """Send them one after the other, to one pod after the other, until cancelled."""
        while True:
            for address in addresses:
                self.sent += 1
                try:
                    async with asyncio.timeout(5):
                        await _hello(address)
                except (OSError, ValueError, TimeoutError) as error:
                    self.failed.append(f"{address}: {error!r}")
                await asyncio.sleep(0.01)


async def _hello(address: str) -> None:
    reader, writer = await asyncio.open_connection(address, mapped_port(PORT))
    try:
        writer.write(b"GET /hello HTTP/1.1\r\nHost: hello\r\nConnection: close\r\n\r\n")
        line = await reader.readline()
        if b" 200 " not in line:
            raise ValueError(line)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@dataclass
class Kills:
    """What came of the kills until now."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu_seconds: list[float] = field(default_factory=list)  # of each new cluster process, until all was well
    requests: Requests = field(default_factory=Requests)
    restarted: list[tuple[str, str, int]] = field(default_factory=list)  # by the end of a cluster process
    loads: list[float] = field(default_factory=list)

    async def one(self, environment: Environment, chance: random.Random) -> str:
        """Kill one process, and wait until all is well: what to tell of it."""
        await asyncio.sleep(chance.random() * 0.2)
        while True:
            before, keeper, candidates = await _runs(environment), keeping.keeper_of(environment), victims(environment)
            if not candidates:
                await asyncio.sleep(0.01)
                continue
            kind = chance.choice(sorted(candidates))
            pid = chance.choice(candidates[kind])
            addresses = [pod["status"]["podIP"] for pod in await _own_pods(environment)]
            try:
                command = " ".join(psutil.Process(pid).cmdline())
                began = time.perf_counter()
                os.kill(pid, signal.SIGKILL)
                break
            except (psutil.Error, ProcessLookupError):
                continue  # it has ended by itself
        try:
            if kind == "cluster":
                await self._cluster(environment, pid, before, addresses)
            else:
                await _recovered(environment, kind, keeper, before)
        except TimeoutError:
            raise SystemExit(
                f"after the end of {pid} ({kind}: {command}) not well again within {PATIENCE_SECONDS:.0f} s; "
                f"before: {sorted(before)}; now: {sorted(await _runs(environment))}"
            ) from None
        took = time.perf_counter() - began
        self.seconds[kind].append(took)
        self.loads.append(os.getloadavg()[0])
        if kind in _IN_PODS:
            await _replace_restarted(environment)
        return f"{kind}: {took:.2f}"

    async def _cluster(
        self, environment: Environment, pid: int, before: set[tuple[str, str, int]], addresses: list[str]
    ) -> None:
        sending = asyncio.create_task(self.requests.send(addresses))
        await asyncio.to_thread(_gone, pid)
        await healed(environment)
        await _commands_run(environment)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        process = lifecycle.running(environment)
        if process is not None:
            with suppress(psutil.Error):
                times = psutil.Process(process.pid).cpu_times()
                self.cpu_seconds.append(times.user + times.system)
        self.restarted += sorted(before - await _runs(environment))


async def _commands_run(environment: Environment) -> None:
    """A command runs in each of our pods: the kubelet knows them."""
    for pod in await _own_pods(environment):
        async with HTTPClient.from_kubeconfig(environment.kubeconfig) as client:
            result = await client.exec(NAMESPACE, pod["metadata"]["name"], ["echo", "here"], container="c")
            assert result.stdout == b"here\n", result


async def _recovered(
    environment: Environment, kind: str, keeper: ProcessName | None, before: set[tuple[str, str, int]]
) -> None:
    while kind == "keeper" and keeping.keeper_of(environment) in (None, keeper):  # noqa: ASYNC110 - see below
        await asyncio.sleep(0.005)
    while kind == "standby" and zygote_of(standby_file(environment.run / PROCESSES)) is None:  # noqa: ASYNC110
        await asyncio.sleep(0.005)  # other processes change it
    if kind not in ("keeper", "node proxy", "standby"):
        await _noticed(environment, before, everywhere=kind == "zygote")
    await healed(environment)


def _gone(pid: int) -> None:
    with suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.002)


async def _runs(environment: Environment) -> set[tuple[str, str, int]]:
    """What runs: (pod, container, how often it was started again)."""
    return {
        (pod["metadata"]["name"], one["name"], one["restartCount"])
        for pod in await _pods(environment)
        if _stays(pod)
        for one in _statuses(pod)
        if "running" in one["state"]
    }


async def _pods(environment: Environment) -> list[Object]:
    async with HTTPClient.from_kubeconfig(environment.kubeconfig) as client:
        return (await client.list("pods")).items


async def _own_pods(environment: Environment) -> list[Object]:
    """Ours, without those that are about to go."""
    return [pod for pod in await _pods(environment) if pod["metadata"]["namespace"] == NAMESPACE and _stays(pod)]


def _statuses(pod: Object) -> list[Object]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


async def _noticed(environment: Environment, before: set[tuple[str, str, int]], *, everywhere: bool) -> None:
    """The kubelet has seen it, in one pod or `everywhere`: else 'ready' may still be what was before the kill."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(ClusterError, OSError):
                left = before & await _runs(environment)
                if (not left) if everywhere else left != before:
                    return
            await asyncio.sleep(0.005)


async def _replace_restarted(environment: Environment) -> None:
    async with HTTPClient.from_kubeconfig(environment.kubeconfig) as client:
        for pod in await _pods(environment):
            if any(one["restartCount"] for one in _statuses(pod)):
                # Gracefully: the object goes after its processes, so no later victim is of a pod that is no more.
                await _delete(client, pod["metadata"]["name"], pod["metadata"]["namespace"])
    await healed(environment)


async def _delete(client: HTTPClient, name: str, namespace: str) -> None:
    try:
        await client.delete("pods", name, namespace, grace_seconds=1)
    except StatusError as error:
        if error.code != 404:  # its deployment was quicker
            raise


async def lost(environment: Environment, written: Written) -> list[str]:
    """The objects that do not hold what was acknowledged last (or what was written after it without an answer)."""
    async with HTTPClient.from_kubeconfig(environment.kubeconfig) as client:
        found = {one["metadata"]["name"]: one["data"]["n"] for one in (await client.list("configmaps", NAMESPACE)).items
                 if one["metadata"]["name"].startswith("kept-")}  # fmt: skip
    return [
        f"{name}: acknowledged {value}, found {found.get(name)}"
        for name, value in written.values.items()
        if found.get(name) not in (value, written.doubtful.get(name))
    ]


async def measure(environment: Environment, kills: int, seed: int, minutes: float, *, istio: bool) -> None:
    """Print what came of so many kills."""
    await asyncio.to_thread(lifecycle.start, environment)
    await furnish(environment, istio=istio)
    chance, written, stop = random.Random(seed), Written(), asyncio.Event()
    writer = asyncio.create_task(write(environment, written, stop))
    found, deadline = Kills(), time.monotonic() + minutes * 60
    enough = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, enough.set)
    for number in range(1, kills + 1):
        if enough.is_set() or time.monotonic() > deadline:
            break
        told = await found.one(environment, chance)
        print(f"{number}: {told} (load {os.getloadavg()[0]:.0f})", file=sys.stderr, flush=True)
    stop.set()
    await writer
    report(found, written, await lost(environment, written))


def report(found: Kills, written: Written, wrong: list[str]) -> None:
    """Print the figures."""
    count = sum(map(len, found.seconds.values()))
    print(f"{count} kills, {written.count} acknowledged writes, {len(wrong)} lost")
    for line in wrong:
        print(f"  {line}")
    requests = found.requests
    print(f"while the cluster process was away: {requests.sent} requests to the pods, {len(requests.failed)} failed; "
          f"{len(found.restarted)} containers were started again")  # fmt: skip
    for line in [*requests.failed[:5], *map(str, found.restarted[:5])]:
        print(f"  {line}")
    if found.cpu_seconds:
        print(f"CPU seconds that a new cluster process took for it: median {statistics.median(found.cpu_seconds):.2f}")
    if found.loads:
        print(f"load average: median {statistics.median(found.loads):.1f}, at most {max(found.loads):.1f}")
    print("| killed | times | healed, median s | p95 | longest | within 2 s |\n|---|---|---|---|---|---|")
    for kind, all_of_it in sorted(found.seconds.items()):
        ordered = sorted(all_of_it)
        p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
        within = sum(one <= 2 for one in ordered) / len(ordered)
        print(
            f"| {kind} | {len(ordered)} | {statistics.median(ordered):.2f} | {p95:.2f} | {ordered[-1]:.2f} "
            f"| {within:.0%} |"
        )


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--plain", action="store_true", help="without Istio")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mdb", dir="/tmp") as home:
        os.environ["MESHDOJO_HOME"] = home
        environment = Environment.named("kills")
        try:
            asyncio.run(
                measure(environment, arguments.kills, arguments.seed, arguments.minutes, istio=not arguments.plain)
            )
        finally:
            lifecycle.delete(environment)


if __name__ == "__main__":
    main()
