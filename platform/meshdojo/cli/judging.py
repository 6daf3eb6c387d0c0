"""What ``meshdojo check`` does: runs checks, and shows what was seen."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.text import Text

from meshdojo.backends.base import Backend
from meshdojo.checks.outcome import Error, Fail, Pass
from meshdojo.checks.runner import Result, Runner
from meshdojo.checks.runner import passed as all_passed
from meshdojo.checks.watch import watch
from meshdojo.cli.console import EXIT_ENVIRONMENT, EXIT_FAILED, err, out
from meshdojo.cluster.http import HTTPClient
from meshdojo.validation import record as records
from meshdojo.validation.difference import Difference


async def check_once(
    backend: Backend, ids: Sequence[str], as_json: bool, keep: Callable[[Sequence[Result]], Awaitable[None]]
) -> int:
    """Run the checks once, and hand what they found to `keep`; returns the exit code."""
    async with HTTPClient.from_kubeconfig(backend.kubeconfig) as client:
        results = await Runner(client).run(ids, report=None if as_json else _show)
    await keep(results)
    if as_json:
        out.print_json(json.dumps([_as_json(result) for result in results]))
    if any(isinstance(result.outcome, Error) for result in results):
        return EXIT_ENVIRONMENT
    return 0 if all_passed(results) else EXIT_FAILED


async def other_lab(backend: Backend, lab: str) -> str:
    """A note when another lab than this one is set up, as its checks will say little then; '' otherwise."""
    async with HTTPClient.from_kubeconfig(backend.kubeconfig) as client:
        start = await records.read(client)
    if start is None or start.lab in ("", lab):
        return ""
    return f"lab {start.lab!r} is set up; 'meshdojo reset {lab}' sets {lab!r} up"


async def check_always(backend: Backend, ids: Sequence[str]) -> None:
    """Run the checks now and whenever the cluster changes; shows what has changed."""
    shown: dict[str, object] = {}
    err.print("Watching; Ctrl-C ends it.")
    async with (
        HTTPClient.from_kubeconfig(backend.kubeconfig) as client,
        contextlib.aclosing(watch(client, ids, asyncio.Event())) as events,
    ):
        async for event in events:
            if isinstance(event, Result) and shown.get(event.check.id) != event.outcome:
                shown[event.check.id] = event.outcome
                _show(event)


def _show(result: Result) -> None:
    for style, text in _words(result):
        out.print(Text(text, style=style))


def _words(result: Result) -> Iterable[tuple[str, str]]:
    outcome, title = result.outcome, f"{result.check.id}: {result.check.title}"
    if isinstance(outcome, Pass):
        yield "green", f"✔ {title}"
        yield "dim", f"    saw       {outcome.saw}"
    elif isinstance(outcome, Fail):
        yield "red", f"✘ {title}"
        yield "", f"    {outcome.reason}"
        yield "", f"    saw       {outcome.saw}"
        yield "", f"    expected  {outcome.expected}"
        yield "cyan", f"    hint      {outcome.hint}"
    else:
        yield "yellow", f"! {title}"
        yield "", f"    could not be judged: {outcome.reason}"
        yield "cyan", f"    remedy    {outcome.remedy}"


def _as_json(result: Result) -> dict[str, Any]:
    kind = type(result.outcome).__name__.lower()
    return {"check": result.check.id, "outcome": kind, "seconds": result.seconds, **asdict(result.outcome)}


def as_facts(difference: Difference) -> dict[str, Any]:
    """A difference for programs: what it is (``added``, ``changed``, ``missing``), of what, why, and changed lines."""
    return {
        "what": difference.what,
        "object": str(difference.key),
        "note": difference.note,
        "lines": difference.lines(),
    }


_MARKS = {"added": ("green", "+"), "changed": ("yellow", "~"), "missing": ("red", "-")}


def show_differences(found: Sequence[Difference]) -> None:
    """What is not as at the start of a lab: objects first, with the lines that changed, then pods."""
    for difference in found:
        style, mark = _MARKS[difference.what]
        out.print(Text(f"{mark} {difference}", style=style))
        for line in difference.lines():
            out.print(Text(f"      {line}", style="dim"))
