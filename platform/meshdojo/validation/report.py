"""What a validation did, step by step: as a table for people, as JUnit XML for CI."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from rich.table import Table
from rich.text import Text

Phase = Literal["structure", "set-up", "must fail", "command", "must pass", "right solution", "wrong solution", "reset"]


@dataclass(frozen=True)
class Step:
    """One thing that was proven or not. `problem` is '' when it was; `seconds` is how long it took."""

    phase: Phase
    name: str
    seconds: float
    problem: str = ""

    @property
    def passed(self) -> bool:
        return not self.problem


@dataclass
class Report:
    """All steps for one lab on one backend. `folder` has what is needed to understand a failure."""

    lab: str
    backend: str
    steps: list[Step] = field(default_factory=list)
    folder: Path | None = None

    @property
    def proven(self) -> bool:
        """Whether everything was done and held. A report without steps proves nothing."""
        return bool(self.steps) and all(step.passed for step in self.steps)

    @property
    def seconds(self) -> float:
        return sum(step.seconds for step in self.steps)

    @property
    def failures(self) -> list[Step]:
        return [step for step in self.steps if not step.passed]


def table(reports: Iterable[Report]) -> Table:
    """One line for each lab, phase and backend, with what failed below it."""
    result = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("LAB", "BACKEND", "PHASE", "STEPS", "SECONDS", "RESULT"):
        result.add_column(heading, justify="right" if heading in ("STEPS", "SECONDS") else "left")
    for report in reports:
        for phase in dict.fromkeys(step.phase for step in report.steps):
            _add_phase(result, report, [step for step in report.steps if step.phase == phase])
    return result


def _add_phase(result: Table, report: Report, steps: list[Step]) -> None:
    failed = [step for step in steps if not step.passed]
    verdict = Text("proven", "green") if not failed else Text("; ".join(step.name for step in failed), "red")
    seconds = f"{sum(step.seconds for step in steps):.1f}"
    result.add_row(report.lab, report.backend, steps[0].phase, str(len(steps)), seconds, verdict)


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
        name=f"{step.phase}: {step.name}",
        time=f"{step.seconds:.3f}",
    )
    if not step.passed:
        failure = ElementTree.SubElement(case, "failure", message=_printable(step.problem.splitlines()[0]))
        failure.text = _printable(step.problem)


def _printable(text: str) -> str:
    """Without the control characters that XML 1.0 cannot hold."""
    return "".join(char for char in text if char in "\t\n\r" or ord(char) >= 0x20)
