from __future__ import annotations

from io import StringIO
from xml.etree import ElementTree

from rich.console import Console

from meshdojo.validation.report import Report, Step, junit, merged, table

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


def test_a_pass_of_several_is_named() -> None:
    root = ElementTree.fromstring(junit([Report("canary", "kind", [Step("reset", "x", 1, number=2)])]).encode())
    assert root[0][0].get("name") == "reset: x (pass 2)"


def test_the_table_has_a_line_for_each_lab_with_what_took_how_long() -> None:
    written = StringIO()
    reports = [Report("canary", "embedded", [PROVEN, PROVEN, BROKEN]), Report("mtls", "embedded", [PROVEN])]
    Console(file=written, width=120).print(table(reports))
    heading, failed, passed = written.getvalue().splitlines()
    assert heading.split() == ["LAB", "BACKEND", "STEPS", "SECONDS", "SET-UP", "COMMANDS", "CHECKS", "RESULT"]
    assert failed.split() == [
        *("canary", "embedded", "3", "3.2", "0.0", "0.2", "3.0"),
        *("NOT", "PROVEN:", "command:", "lab.md:44"),
    ]
    assert passed.split() == ["mtls", "embedded", "1", "1.5", "0.0", "0.0", "1.5", "proven"]


def test_what_several_jobs_did_is_one_report_for_each_lab() -> None:
    jobs = [Report("canary", "kind", [PROVEN]), Report("mtls", "kind"), Report("canary", "kind", [BROKEN])]
    canary, mtls = merged(jobs)
    assert (canary.lab, canary.steps, canary.proven) == ("canary", [PROVEN, BROKEN], False)
    assert (mtls.lab, mtls.proven) == ("mtls", False)
