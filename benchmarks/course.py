"""The figures of the course, each backend beside the first one named, in one run.

    python -m benchmarks.course embedded kind

One pass over all labs (`meshdojo validate`), each lab's slowest reset in it (after its solutions, right and wrong), a
reset without and with a pod to replace, from ``kubectl apply`` to a green check (as the page shows it: watched,
settled, measured), and the memory of a lab at its start. Each backend is started from nothing under the name ``bench``
and deleted afterwards; images count as cached.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping

from benchmarks.first_light import remove, report
from benchmarks.memory import environment_megabytes
from meshdojo.backends.base import Backend
from meshdojo.backends.select import open_backend
from meshdojo.checks.runner import Result
from meshdojo.checks.watch import watch
from meshdojo.cluster.http import HTTPClient
from meshdojo.course.course import load_course
from meshdojo.course.lab import Lab
from meshdojo.validation import setup
from meshdojo.validation.campaign import Campaign, Plan
from meshdojo.validation.report import Report, Step

INSTANCE = "bench"
ROUNDS = 20
CHECK = "canary.weights"
ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, namespace: fleet}}
spec:
  hosts: ["*"]
  gateways: [fleet-edge]
  http:
  - route: [{{destination: {{host: web{subset}}}}}]
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: fleet}
spec: {host: web, subsets: [{name: original, labels: {version: original}}]}
"""
OTHER = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-experimental, namespace: fleet}
spec:
  selector: {matchLabels: {app: web, version: experimental}}
  template:
    metadata: {labels: {app: web, version: experimental}}
    spec: {containers: [{name: web, image: "meshdojo/fleet-web:1.0", imagePullPolicy: IfNotPresent}]}
"""


async def figures(name: str) -> dict[str, float]:
    """All figures of one backend."""
    backend = open_backend(name, INSTANCE)
    await remove(backend)
    try:
        await backend.start(setup.silent)
        await setup.prepare(backend)
        found = await _pass(backend)
        lab = load_course().lab("canary")
        began = time.perf_counter()
        await setup.start_state(backend, lab)
        found["set-up of a lab on a cluster without one, s"] = time.perf_counter() - began
        found["memory of the environment (PSS), MB"] = environment_megabytes(backend)
        variables = await backend.environment()
        found |= await _resets(backend, lab, variables)
        times = await _greens(backend, lab, variables)
        found["apply returned to green, median, s"] = statistics.median(times)
        found["apply returned to green, p95, s"] = statistics.quantiles(times, n=20)[-1]
        return found
    finally:
        await remove(backend)


async def _pass(backend: Backend) -> dict[str, float]:
    began = time.perf_counter()
    reports = await Campaign(backend, on_step=_told).run(Plan().orders(load_course().labs))
    found = {"one pass over all labs, s": time.perf_counter() - began}
    if broken := [step for one in reports for step in one.failures]:
        raise RuntimeError(f"not proven: {broken[0].name}: {broken[0].problem}")
    return found | {f"slowest reset of {one.lab}, s": max(times) for one in reports if (times := _back_at_start(one))}


def _back_at_start(report: Report) -> list[float]:
    """Seconds of each return to the start of a lab that was set up: all but the first `start state`."""
    starts = [step.seconds for step in report.steps if step.phase == "set-up" and step.name == "start state"]
    return [*starts[1:], *(step.seconds for step in report.steps if step.phase == "reset")]


def _told(report: Report, step: Step) -> None:
    """A pass takes minutes."""
    if step.phase in ("reset", "removal"):
        print(f"{report.lab}: {step.name} ({report.seconds:.0f} s so far)", file=sys.stderr, flush=True)


async def _resets(backend: Backend, lab: Lab, variables: Mapping[str, str]) -> dict[str, float]:
    found = {}
    for label, command in (
        ("reset after changed objects, s", ["kubectl", "apply", "-f", "-"]),
        ("reset after a deleted Deployment, s", ["kubectl", "delete", "deployment", "web-original", "-n", "fleet"]),
    ):
        _run(variables, command, RULE + "---" + ROUTE.format(subset=", subset: original"))
        began = time.perf_counter()
        await setup.reset_lab(backend, lab)
        found[label] = time.perf_counter() - began
    return found


async def _greens(backend: Backend, lab: Lab, variables: Mapping[str, str]) -> list[float]:
    """Seconds from the end of `kubectl apply` to the pass of a check that is watched, as the page watches it."""
    await setup.reset_lab(backend, lab)
    _run(variables, ["kubectl", "apply", "-f", "-"], OTHER + "---" + RULE)
    _run(variables, ["kubectl", "rollout", "status", "deployment/web-experimental", "-n", "fleet"])
    times: list[float] = []
    async with (
        HTTPClient.from_kubeconfig(backend.kubeconfig) as client,
        contextlib.aclosing(watch(client, [CHECK])) as events,
    ):
        returned = None
        async for event in events:
            if not isinstance(event, Result):
                continue
            if event.passed and returned is not None:
                times.append(time.perf_counter() - returned)
            if len(times) == ROUNDS:
                break
            if event.passed:
                returned = None
                await _apply(variables, ROUTE.format(subset=""))
            elif event.failed:
                await _apply(variables, ROUTE.format(subset=", subset: original"))
                returned = time.perf_counter()
    return times


async def _apply(variables: Mapping[str, str], manifest: str) -> None:
    await asyncio.to_thread(_run, variables, ["kubectl", "apply", "-f", "-"], manifest)


def _run(variables: Mapping[str, str], command: list[str], stdin: str = "") -> None:
    subprocess.run(command, input=stdin.encode(), env=dict(variables), check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    names = sys.argv[1:] or ["embedded"]
    print(report({name: asyncio.run(figures(name)) for name in names}))


if __name__ == "__main__":
    main()
