"""The API server and the mesh when there is much of everything, each backend beside the first one named, in one run.

    python -m benchmarks.scale embedded kind

How long the start takes, and memory after it. API: requests a second over one connection and over sixteen, 10,000
objects made and listed in pages, and the time from a write's answer until one watcher, and until the last of 1,000, has
heard of it. ``kubectl get pods`` of 200. Then 1, 10 and 50 injected pods: from ``kubectl apply`` to all of them ready,
memory, and from a route's ``kubectl apply`` to the first request that follows it. Each backend is started from nothing
under the name ``bench`` and deleted afterwards; with ``--only api`` Istio is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

from benchmarks.first_light import remove, report
from benchmarks.memory import environment_megabytes
from benchmarks.route_change import measure
from benchmarks.startup import start_up
from meshdojo.backends.base import Backend
from meshdojo.backends.select import open_backend
from meshdojo.cluster.http import HTTPClient
from meshdojo.validation.setup import silent

INSTANCE, NAMESPACE = "bench", "bench"
CONNECTIONS = 16
WRITES = 30
COMMANDS = 10
ROUNDS = 20
PODS = """
apiVersion: v1
kind: Pod
metadata: {{name: idle-{number}, namespace: bench, labels: {{app: idle}}}}
spec: {{nodeSelector: {{no-such: node}}, containers: [{{name: idle, image: "meshdojo/fleet-web:1.0"}}]}}
"""
INJECTED = """
apiVersion: v1
kind: Namespace
metadata: {{name: bench-mesh, labels: {{istio-injection: enabled}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: many, namespace: bench-mesh}}
spec: {{selector: {{app: many}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: many, namespace: bench-mesh}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: many}}}}
  template:
    metadata: {{labels: {{app: many, version: original}}, annotations: {{sidecar.istio.io/proxyCPU: 10m}}}}
    spec:
      containers:
      - name: web
        image: "meshdojo/fleet-web:1.0"
        imagePullPolicy: IfNotPresent
        ports: [{{name: http, containerPort: 8080}}]
        readinessProbe: {{httpGet: {{path: /healthz, port: http}}, periodSeconds: 1, timeoutSeconds: 10}}
        resources: {{requests: {{cpu: 10m, memory: 32Mi}}}}
"""


async def figures(name: str, arguments: argparse.Namespace) -> dict[str, float]:
    """All figures of one backend."""
    backend = open_backend(name, INSTANCE)
    await remove(backend)
    try:
        found: dict[str, float] = {}
        if arguments.only == "api":
            await backend.start(silent)
        else:
            started = await start_up(backend)
            found["up to an answering API, s"] = started.api
            found["up to Istio and the fleet ready, s"] = started.fleet
            found["memory of the environment (PSS), MB"] = environment_megabytes(backend)
        variables = await backend.environment()
        if arguments.only != "mesh":
            async with HTTPClient.from_kubeconfig(backend.kubeconfig) as client:
                found |= await api_figures(client, arguments.objects, arguments.watchers)
            found["kubectl get pods of 200, median, ms"] = _pods(variables)
        if arguments.only != "api":
            for count in arguments.pods:
                found |= await _injected(backend, variables, count)
        return found
    finally:
        await remove(backend)


async def api_figures(client: HTTPClient, objects: int, watchers: int) -> dict[str, float]:
    """What the API server does in its own namespace ``bench``."""
    await client.create("namespaces", {"metadata": {"name": NAMESPACE}})
    config: Any = {"metadata": {"name": "one"}, "data": {"a": "x" * 100}}
    await client.create("configmaps", config, NAMESPACE)

    async def read(_: int) -> None:
        await client.get("configmaps", "one", NAMESPACE)

    async def write(number: int) -> None:
        await client.create("configmaps", {"metadata": {"name": f"many-{number}"}, "data": {"a": "x" * 100}}, NAMESPACE)

    found = {"gets a second, one connection": await _rate(read, 1000, 1)}
    found[f"gets a second, {CONNECTIONS} connections"] = await _rate(read, 3000, CONNECTIONS)
    found["watch delay, one watcher, median, ms"] = statistics.median(await _delays(client, 1))
    delays = await _delays(client, watchers)
    found[f"watch delay, the last of {watchers}, median, ms"] = statistics.median(delays)
    found[f"creates a second, {CONNECTIONS} connections"] = await _rate(write, objects, CONNECTIONS)
    began = time.perf_counter()
    listed = await _pages(client)
    found[f"list of {objects} in pages of 500, s"] = time.perf_counter() - began
    if listed <= objects:
        raise RuntimeError(f"{listed} objects were listed, and more than {objects} are there")
    return found


async def _rate(ask: Callable[[int], Awaitable[None]], count: int, connections: int) -> float:
    """Requests a second, with so many under way at any moment."""
    numbers = iter(range(count))

    async def ask_all() -> None:
        for number in numbers:
            await ask(number)

    began = time.perf_counter()
    await asyncio.gather(*(ask_all() for _ in range(connections)))
    return count / (time.perf_counter() - began)


async def _delays(client: HTTPClient, watchers: int) -> list[float]:
    """Milliseconds from a write's answer (0 at least) until the last of so many watchers has heard of it."""
    heard: dict[str, list[float]] = {}
    everybody = asyncio.Event()

    async def watch(since: str) -> None:
        async with aclosing(client.watch("secrets", NAMESPACE, since=since)) as events:
            async for event in events:
                name = event.object["metadata"].get("name")
                if event.type == "ADDED" and name in heard:
                    heard[name].append(time.perf_counter())
                    if len(heard[name]) == watchers:
                        everybody.set()

    since = (await client.list("secrets", NAMESPACE)).resource_version
    tasks = [asyncio.create_task(watch(since)) for _ in range(watchers)]
    delays = []
    try:
        for number in range(WRITES + 1):
            name = f"watched-{watchers}-{number}"
            heard[name] = []
            everybody.clear()
            await client.create("secrets", {"metadata": {"name": name}}, NAMESPACE)
            answered = time.perf_counter()
            async with asyncio.timeout(300):
                await everybody.wait()
            delays.append(max(0.0, max(heard[name]) - answered) * 1000)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    # The first write waits until every watch is open.
    return delays[1:]


async def _pages(client: HTTPClient) -> int:
    import orjson

    count, token = 0, ""
    while True:
        path = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
        query = {"limit": "500"} | ({"continue": token} if token else {})
        page = orjson.loads(await client.raw("GET", path, body=None, **query))
        count += len(page["items"])
        token = page["metadata"].get("continue", "")
        if not token:
            return count


def _pods(variables: Mapping[str, str]) -> float:
    _run(variables, ["apply", "-f", "-"], "---".join(PODS.format(number=number) for number in range(200)))
    times = []
    for _ in range(COMMANDS + 1):
        began = time.perf_counter()
        output = _run(variables, ["get", "pods", "-n", NAMESPACE])
        times.append((time.perf_counter() - began) * 1000)
        if output.count("idle-") != 200:
            raise RuntimeError(f"200 pods are there, and {output.count('idle-')} were shown")
    _run(variables, ["delete", "pods", "--all", "-n", NAMESPACE, "--wait=false"])
    return statistics.median(times[1:])


async def _injected(backend: Backend, variables: Mapping[str, str], count: int) -> dict[str, float]:
    """With so many injected pods more than the fleet's."""
    began = time.perf_counter()
    await asyncio.to_thread(_run, variables, ["apply", "-f", "-"], INJECTED.format(replicas=count))
    command = ["rollout", "status", "deployment/many", "-n", "bench-mesh", "--timeout=600s"]
    await asyncio.to_thread(_run, variables, command)
    label = f"{count} injected pods: "
    found = {f"{label}apply to all ready, s": time.perf_counter() - began}
    changes = await asyncio.to_thread(measure, variables, await backend.endpoint(), ROUNDS)
    found[f"{label}route applied to first request, median, ms"] = statistics.median(changes)
    found[f"{label}route applied to first request, p95, ms"] = statistics.quantiles(changes, n=20)[-1]
    found[f"{label}memory of the environment (PSS), MB"] = environment_megabytes(backend)
    await asyncio.to_thread(_run, variables, ["delete", "namespace", "bench-mesh"])
    return found


def _run(variables: Mapping[str, str], arguments: list[str], stdin: str = "") -> str:
    done = subprocess.run(
        ["kubectl", *arguments], input=stdin.encode(), env=dict(variables), check=True, stdout=subprocess.PIPE
    )
    return done.stdout.decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backends", nargs="*", default=["embedded"])
    parser.add_argument("--only", choices=["api", "mesh"], help="leave the other half out")
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--pods", type=int, nargs="*", default=[1, 10, 50])
    arguments = parser.parse_args()
    print(report({name: asyncio.run(figures(name, arguments)) for name in arguments.backends}))


if __name__ == "__main__":
    main()
