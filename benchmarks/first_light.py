"""The figures of first light, each backend beside the first one named, in one run.

    python -m benchmarks.first_light embedded kind

Each backend is started from nothing under a name of its own (``bench``) and deleted afterwards.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping

from benchmarks.memory import environment_megabytes
from benchmarks.route_change import measure
from benchmarks.startup import start_up
from meshdojo.backends.base import Backend
from meshdojo.backends.embedded import EmbeddedBackend
from meshdojo.backends.select import open_backend
from meshdojo.embedded import lifecycle

INSTANCE = "bench"
ROUNDS = 40


async def figures(name: str) -> dict[str, float]:
    """All figures of one backend."""
    backend = open_backend(name, INSTANCE)
    await remove(backend)
    try:
        startup = await start_up(backend)
        found = {"up to an answering API, s": startup.api, "up to Istio and the fleet ready, s": startup.fleet}
        found["memory of the environment (PSS), MB"] = environment_megabytes(backend)
        variables = await backend.environment()
        changes = measure(variables, await backend.endpoint(), ROUNDS)
        found["apply returned to first request, median, ms"] = statistics.median(changes)
        found["apply returned to first request, p95, ms"] = statistics.quantiles(changes, n=20)[-1]
        found["validate canary, s"] = _validation(name, variables)
        return found
    finally:
        await remove(backend)


async def remove(backend: Backend) -> None:
    """Delete the backend's cluster with its state."""
    await backend.stop()
    if isinstance(backend, EmbeddedBackend):
        lifecycle.delete(backend.instance)


def _validation(name: str, variables: Mapping[str, str]) -> float:
    began = time.perf_counter()
    command = [sys.executable, "-m", "meshdojo.cli", "validate", "canary", "--backend", name, "--name", INSTANCE]
    subprocess.run(command, env=dict(variables), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def report(results: dict[str, dict[str, float]]) -> str:
    """A Markdown table: the first backend's figures, then the others' with their ratio to it."""
    first, *others = results
    lines = [f"| figure | {' | '.join([first, *(f'{o} | {o} / {first}' for o in others)])} |"]
    lines.append("|---" * (2 + 2 * len(others)) + "|")
    for label, base in results[first].items():
        cells = [f"{base:.3g}"]
        for other in others:
            value = results[other][label]
            cells += [f"{value:.3g}", f"{value / base:.1f}" if base else "-"]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    names = sys.argv[1:] or ["embedded"]
    print(report({name: asyncio.run(figures(name)) for name in names}))


if __name__ == "__main__":
    main()
