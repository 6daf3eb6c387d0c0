"""``python -m benchmarks.kills [--kills 500]``: kill -9 of any process at any moment.

A client writes without a pause; whatever was acknowledged must be there at the end, with its last value. Victims are
drawn by chance: the cluster process (which ``meshdojo up`` starts again), the zygote, any process of a pod. Measured is
how long it takes from a kill until the API answers and every pod is ready again; a pod whose container was killed is
replaced afterwards, since a second kill of the same one is answered with Kubernetes' own back-off.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import statistics
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from meshdojo.cluster.errors import ClusterError, StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.embedded import lifecycle
from meshdojo.embedded.environment import Environment

NAMESPACE = "default"
PODS = 4
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


async def furnish(environment: Environment) -> None:
    """A deployment whose pods are killed."""
    container = {"name": "c", "image": "istio/examples-helloworld-v1", "readinessProbe": _probe()}
    template = {"metadata": {"labels": {"app": "victim"}}, "spec": {"containers": [container]}}
    spec = {"replicas": PODS, "selector": {"matchLabels": {"app": "victim"}}, "template": template}
    async with HTTPClient.from_kubeconfig(environment.kubeconfig) as client:
        await client.create("deployments.apps", {"metadata": {"name": "victim"}, "spec": spec}, NAMESPACE)
    await healed(environment)


def _probe() -> dict[str, object]:
    return {"httpGet": {"path": "/health", "port": 5000}, "periodSeconds": 1}


async def healed(environment: Environment) -> None:
    """Return when the API answers, and every pod that there should be is ready and runs a process that lives."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                async with HTTPClient.from_kubeconfig(environment.kubeconfig) as client:
                    pods = (await client.list("pods", NAMESPACE, labels="app=victim")).items
                    if sum(map(_ready, pods)) >= PODS:
                        return
            except (ClusterError, OSError):
                pass
            await asyncio.sleep(0.01)


def _ready(pod: dict[str, object]) -> bool:
    status = pod.get("status")
    conditions = status.get("conditions", []) if isinstance(status, dict) else []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def victims(environment: Environment) -> dict[str, list[int]]:
    """Kind -> pids that may be killed now."""
    found: dict[str, list[int]] = defaultdict(list)
    process = lifecycle.running(environment)
    if process is None:
        return found
    found["cluster"] = [process.pid]
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.Error):
            found[_kind(" ".join(child.cmdline()))].append(child.pid)
    return found


def _kind(command: str) -> str:
    if "meshdojo.kubelet.zygote" in command:
        return "zygote"
    return "pod" if "samples.helloworld" in command else "node proxy"


async def kill_one(environment: Environment, chance: random.Random) -> tuple[str, float]:
    """Kill one process, and wait until all is well: (its kind, seconds)."""
    await asyncio.sleep(chance.random() * 0.2)
    candidates = victims(environment)
    kind = chance.choice([name for name, pids in candidates.items() if pids])
    pid = chance.choice(candidates[kind])
    before = await _runs(environment)
    began = time.perf_counter()
    os.kill(pid, signal.SIGKILL)
    if kind == "cluster":
        await asyncio.to_thread(_gone, pid)
        await asyncio.to_thread(lifecycle.start, environment)
    elif kind == "pod":
        await _noticed(environment, before)
    await healed(environment)
    seconds = time.perf_counter() - began
    if kind == "pod":
        await _replace_restarted(environment)
    return kind, seconds


def _gone(pid: int) -> None:
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.002)


async def _runs(environment: Environment) -> set[tuple[str, int]]:
    """(pod, how often its container was started again)."""
    async with HTTPClient.from_kubeconfig(environment.kubeconfig) as client:
        pods = (await client.list("pods", NAMESPACE, labels="app=victim")).items
    return {
        (pod["metadata"]["name"], one["restartCount"])
        for pod in pods
        for one in pod["status"].get("containerStatuses") or ()
    }


async def _noticed(environment: Environment, before: set[tuple[str, int]]) -> None:
    """The kubelet has seen it: otherwise 'ready' may still be what was before the kill."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await _runs(environment) == before:  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.005)


async def _replace_restarted(environment: Environment) -> None:
    async with HTTPClient.from_kubeconfig(environment.kubeconfig) as client:
        for pod in (await client.list("pods", NAMESPACE, labels="app=victim")).items:
            if any(one["restartCount"] for one in pod["status"].get("containerStatuses") or ()):
                # Gracefully: the object goes after its processes, so no later victim is of a pod that is no more.
                await client.delete("pods", pod["metadata"]["name"], NAMESPACE, grace_seconds=1)
    await healed(environment)


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


async def measure(environment: Environment, kills: int, seed: int) -> None:
    """Print what came of so many kills."""
    await asyncio.to_thread(lifecycle.start, environment)
    await furnish(environment)
    chance, written, stop = random.Random(seed), Written(), asyncio.Event()
    writer = asyncio.create_task(write(environment, written, stop))
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in range(kills):
        kind, took = await kill_one(environment, chance)
        seconds[kind].append(took)
    stop.set()
    await writer
    wrong = await lost(environment, written)
    print(f"{kills} kills, {written.count} acknowledged writes, {len(wrong)} lost")
    for line in wrong:
        print(f"  {line}")
    print("| killed | times | healed, median s | p95 | longest | within 2 s |\n|---|---|---|---|---|---|")
    for kind, all_of_it in sorted(seconds.items()):
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
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mdb", dir="/tmp") as home:
        os.environ["MESHDOJO_HOME"] = home
        environment = Environment.named("kills")
        try:
            asyncio.run(measure(environment, arguments.kills, arguments.seed))
        finally:
            lifecycle.delete(environment)


if __name__ == "__main__":
    main()
