from __future__ import annotations

from io import StringIO
from xml.etree import ElementTree

from rich.console import Console

from meshdojo.validation.report import Report, Step, junit, table

PROVEN = Step("must pass", "dark", 1.5)
BROKEN = Step("command", "lab.md:44", 0.25, "lab.md:44: ended with 1\nboom \x1b[31m<&>")


def test_a_report_is_proven_by_steps_that_all_held() -> None:
    assert Report("canary", "kind", [PROVEN]).proven
    assert not Report("canary", "kind", [PROVEN, BROKEN]).proven
    assert Report("canary", "kind", [PROVEN, BROKEN]).failures == [BROKEN]


def test_a_report_without_steps_proves_nothing() -> None:
    assert not Report("canary", "kind").proven


def test_junit_is_xml_that_a_reader_of_junit_understands() -> None:
    root = ElementTree.fromstring(junit([Report("canary", "kind", [PROVEN, BROKEN])]).encode())
    [suite] = root
    assert suite.attrib | {"time": ""} == {
        "name": "canary on kind",
        "tests": "2",
        "failures": "1",
        "errors": "0",
        "skipped": "0",
        "time": "",
    }
    first, second = suite
    assert (first.get("name"), first.get("classname"), first.get("time")) == (
        "must pass: dark",
        "meshdojo.kind.canary",
        "1.500",
    )
    assert len(first) == 0
    [failure] = second
    assert failure.get("message") == "lab.md:44: ended with 1"
    assert failure.text == "lab.md:44: ended with 1\nboom [31m<&>"


def test_the_table_has_a_line_for_each_phase() -> None:
    written = StringIO()
    Console(file=written, width=120).print(table([Report("canary", "embedded", [PROVEN, PROVEN, BROKEN])]))
    heading, passed, failed = written.getvalue().splitlines()
    assert heading.split() == ["LAB", "BACKEND", "PHASE", "STEPS", "SECONDS", "RESULT"]
    assert passed.split() == ["canary", "embedded", "must", "pass", "2", "3.0", "proven"]
    assert failed.split() == ["canary", "embedded", "command", "1", "0.2", "lab.md:44"]
