"""What a validation did, step by step: as a table for people, as JUnit XML for CI."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from rich.table import Table
from rich.text import Text

Phase = Literal[
    "structure", "set-up", "must fail", "command", "must pass", "right solution", "wrong solution", "reset", "removal"
]


@dataclass(frozen=True)
class Step:
    """One thing that was proven or not. `problem` is '' when it was; `seconds` is how long it took.

    `number` is the pass that it belongs to, 0 when there is only one.
    """

    phase: Phase
    name: str
    seconds: float
    problem: str = ""
    number: int = 0

    @property
    def passed(self) -> bool:
        """Whether nothing went wrong in it."""
        return not self.problem


@dataclass
class Report:
    """All steps for one lab on one backend. `folder` has what is needed to understand a failure.

    `number` is the pass that is being made.
    """

    lab: str
    backend: str
    steps: list[Step] = field(default_factory=list)
    folder: Path | None = None
    number: int = 0

    @property
    def proven(self) -> bool:
        """Whether everything was done and held. A report without steps proves nothing."""
        return bool(self.steps) and all(step.passed for step in self.steps)

    @property
    def seconds(self) -> float:
        """How long all steps took together."""
        return sum(step.seconds for step in self.steps)

    @property
    def failures(self) -> list[Step]:
        """The steps in which something went wrong, in their order."""
        return [step for step in self.steps if not step.passed]


def merged(reports: Iterable[Report]) -> list[Report]:
    """One report for each lab, where several jobs have made one."""
    found: dict[str, Report] = {}
    for report in reports:
        whole = found.setdefault(report.lab, Report(report.lab, report.backend))
        whole.steps += report.steps
        whole.folder = whole.folder or report.folder
    return list(found.values())


_SPENT_ON: dict[str, tuple[Phase, ...]] = {
    "SET-UP": ("set-up", "reset", "removal"),
    "COMMANDS": ("command",),
    "CHECKS": ("must fail", "must pass", "right solution", "wrong solution"),
}


def table(reports: Iterable[Report]) -> Table:
    """One line for each lab: what took how many seconds, and whether it is proven, or what did not hold."""
    result = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("LAB", "BACKEND", "STEPS", "SECONDS", *_SPENT_ON, "RESULT"):
        left = heading in ("LAB", "BACKEND", "RESULT")
        result.add_column(heading, justify="left" if left else "right", no_wrap=heading != "RESULT")
    for report in reports:
        spent = [sum(step.seconds for step in report.steps if step.phase in phases) for phases in _SPENT_ON.values()]
        figures = [f"{seconds:.1f}" for seconds in (report.seconds, *spent)]
        result.add_row(report.lab, report.backend, str(len(report.steps)), *figures, _verdict(report))
    return result


def _verdict(report: Report) -> Text:
    if report.proven:
        return Text("proven", "green")
    failed = "; ".join(f"{step.phase}: {step.name}" for step in report.failures)
    return Text(f"NOT PROVEN: {failed or 'nothing was done'}", "red")


def junit(reports: Iterable[Report]) -> str:
    """JUnit XML: a test suite for each report, a test case for each step."""
    root = ElementTree.Element("testsuites")
    for report in reports:
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=f"{report.lab} on {report.backend}",
            tests=str(len(report.steps)),
            failures=str(len(report.failures)),
            errors="0",
            skipped="0",
            time=f"{report.seconds:.3f}",
        )
        for step in report.steps:
            _add_case(suite, report, step)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _add_case(suite: ElementTree.Element, report: Report, step: Step) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=f"meshdojo.{report.backend}.{report.lab}",
        name=f"{step.phase}: {step.name}" + (f" (pass {step.number})" if step.number else ""),
        time=f"{step.seconds:.3f}",
    )
    if not step.passed:
        failure = ElementTree.SubElement(case, "failure", message=_printable(step.problem.splitlines()[0]))
        failure.text = _printable(step.problem)


def _printable(text: str) -> str:
    """Without the control characters that XML 1.0 cannot hold."""
    return "".join(char for char in text if char in "\t\n\r" or ord(char) >= 0x20)
