"""``python -m benchmarks.kills [--kills 500]``: kill -9 of any process at any moment.

A client writes without a pause; whatever was acknowledged must be there at the end, with its last value. Victims are
drawn by chance among kinds, then among processes: the cluster process, its keeper, the zygote, the node proxy, and in
pods istiod, Envoys and apps, some with a sidecar. Nobody helps: what heals is the environment itself. Measured is how
long it takes from a kill until the API answers and every deployment is ready again; a pod whose container was killed is
replaced afterwards, since a second kill of the same one is answered with Kubernetes' own back-off.

``--plain`` leaves Istio out.
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

NAMESPACE = "default"
PODS = 2
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
    probe = {"httpGet": {"path": "/health", "port": 5000}, "periodSeconds": 1}
    container = {"name": "c", "image": "istio/examples-helloworld-v1", "readinessProbe": probe}
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
                if sum(map(_ready, pods)) >= sum(one["spec"]["replicas"] for one in deployments):
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
    process, keeper = lifecycle.running(environment), keeping.keeper_of(environment)
    if process is None or keeper is None:
        return found
    found["cluster"], found["keeper"] = [process.pid], [keeper.pid]
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.Error):
            if child.pid != keeper.pid:
                found[_kind(" ".join(child.cmdline()))].append(child.pid)
    return found


# Part of a command line -> kind; the first that fits.
_KINDS = {
    "meshdojo.kubelet.zygote": "zygote",
    "meshdojo.kubelet.nodeproxy": "node proxy",
    "samples.helloworld": "app",
    "meshdojo.istio.pilot": "istiod",
    "envoy": "Envoy",
    "meshdojo.istio.agent": "Envoy",
}


def _kind(command: str) -> str:
    return next((kind for part, kind in _KINDS.items() if part in command), "other")


_IN_PODS = ("app", "istiod", "Envoy", "other")


async def kill_one(environment: Environment, chance: random.Random) -> tuple[str, float]:
    """Kill one process, and wait until all is well: (its kind, seconds)."""
    await asyncio.sleep(chance.random() * 0.2)
    while True:
        before, keeper, candidates = await _runs(environment), keeping.keeper_of(environment), victims(environment)
        if not candidates:
            await asyncio.sleep(0.01)
            continue
        kind = chance.choice(sorted(candidates))
        pid = chance.choice(candidates[kind])
        try:
            command = " ".join(psutil.Process(pid).cmdline())
            began = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            break
        except (psutil.Error, ProcessLookupError):
            continue  # it has ended by itself
    try:
        await _recovered(environment, kind, pid, keeper, before)
    except TimeoutError:
        raise SystemExit(
            f"after the end of {pid} ({kind}: {command}) not well again within {PATIENCE_SECONDS:.0f} s; "
            f"before: {sorted(before)}; now: {sorted(await _runs(environment))}"
        ) from None
    seconds = time.perf_counter() - began
    if kind in _IN_PODS:
        await _replace_restarted(environment)
    return kind, seconds


async def _recovered(
    environment: Environment, kind: str, pid: int, keeper: ProcessName | None, before: set[tuple[str, str, int]]
) -> None:
    if kind == "cluster":
        await asyncio.to_thread(_gone, pid)
    elif kind == "keeper":
        while keeping.keeper_of(environment) in (None, keeper):  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.005)
    if kind not in ("keeper", "node proxy"):
        await _noticed(environment, before, everywhere=kind in ("cluster", "zygote"))
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
        for one in _statuses(pod)
        if "running" in one["state"]
    }


async def _pods(environment: Environment) -> list[Object]:
    async with HTTPClient.from_kubeconfig(environment.kubeconfig) as client:
        return (await client.list("pods")).items


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
                await client.delete("pods", pod["metadata"]["name"], pod["metadata"]["namespace"], grace_seconds=1)
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


async def measure(environment: Environment, kills: int, seed: int, *, istio: bool) -> None:
    """Print what came of so many kills."""
    await asyncio.to_thread(lifecycle.start, environment)
    await furnish(environment, istio=istio)
    chance, written, stop = random.Random(seed), Written(), asyncio.Event()
    writer = asyncio.create_task(write(environment, written, stop))
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in range(kills):
        kind, took = await kill_one(environment, chance)
        seconds[kind].append(took)
        print(f"{kind}: {took:.2f}", file=sys.stderr, flush=True)
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
    parser.add_argument("--plain", action="store_true", help="without Istio")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mdb", dir="/tmp") as home:
        os.environ["MESHDOJO_HOME"] = home
        environment = Environment.named("kills")
        try:
            asyncio.run(measure(environment, arguments.kills, arguments.seed, istio=not arguments.plain))
        finally:
            lifecycle.delete(environment)


if __name__ == "__main__":
    main()
