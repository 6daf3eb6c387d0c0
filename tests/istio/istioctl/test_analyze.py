"""Forms, thresholds and exit codes of ``istioctl analyze``, as the real one was seen to have them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from meshdojo.istio.istioctl.main import main

LOST = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: lost, namespace: default}
spec: {hosts: [nowhere], gateways: [none], http: [{route: [{destination: {host: nowhere}}]}]}
"""
GOOD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good, namespace: default}\n"


def analyze(path: Path, *arguments: str) -> int:
    return main(["analyze", "--use-kube=false", str(path), *arguments])


@pytest.fixture(name="lost")
def lost_fixture(tmp_path: Path) -> Path:
    path = tmp_path / "lost.yaml"
    path.write_text(LOST)
    return path


@pytest.fixture(name="good")
def good_fixture(tmp_path: Path) -> Path:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    return path


def test_findings_fail_only_where_people_read(lost: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyze(lost) == 79
    read = capsys.readouterr()
    assert read.out.startswith(f"Error [IST0101] (VirtualService default/lost {lost}:5) Referenced gateway not found:")
    assert read.err.startswith("Error: Analyzers found issues when analyzing namespace: default.\n")

    assert analyze(lost, "-o", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found[0]["code"], found[0]["level"], found[0]["reference"]) == ("IST0101", "Error", f"{lost}:5")

    assert analyze(lost, "-o", "yaml") == 0
    printed = capsys.readouterr().out
    assert yaml.safe_load(printed) == found
    assert printed.endswith("\n\n")


@pytest.mark.parametrize(("form", "before"), [("log", "\n"), ("json", "[]\n"), ("yaml", "[]\n\n")])
def test_nothing_found(good: Path, form: str, before: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyze(good, "-o", form) == 0
    assert capsys.readouterr() == (before, f"✔ No validation issues found when analyzing {good}.\n")


def test_thresholds(lost: Path, good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyze(lost, "-S", "IST0101=*") == 0
    assert capsys.readouterr().out.startswith("Warning [IST0132]")
    assert analyze(lost, "-S", "IST0101=*", "--failure-threshold", "Warning") == 79
    capsys.readouterr()
    assert analyze(lost, "--output-threshold", "Error") == 79
    assert "Warning" not in capsys.readouterr().out
    assert analyze(good, "--failure-threshold", "Nonsense") == 64
    assert 'invalid argument "Nonsense" for "--failure-threshold" flag' in capsys.readouterr().err
    assert analyze(good, "-o", "nonsense") == 64
    assert capsys.readouterr().err == "Error: nonsense not a valid option for format. See istioctl analyze --help\n"


def test_what_cannot_be_read_is_said_and_the_rest_analyzed(
    lost: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Words and codes of the real one."""
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [b\nkind: x\n---\nfoo: bar\n")
    first = "failed converting YAML to JSON: yaml: line 1: did not find expected ',' or ']'"
    second = "unable to parse resource with no group, version and kind"
    said = (
        f'Error(s) adding files: 1 error occurred:\n\t* errors parsing content "{broken}": 2 errors occurred:\n'
        f"\t* error processing {broken}[0]: {first}\n\t* error processing {broken}[1]: {second}\n\n\n\n"
    )
    assert analyze(broken) == 65
    read = capsys.readouterr()
    logged, _, rest = read.out.partition("\n")
    assert logged.endswith(f"Z\twarn\tfile\terror processing {broken}[0]: {first} - skipping")
    assert rest.endswith(f"error processing {broken}[1]: {second} - skipping\n\n")
    assert read.err == said + (
        "No validation issues found when analyzing namespace: default (but 1 file could not be parsed).\n"
        "Error: Some files couldn't be parsed.\n"
    )
    assert analyze(broken, "-o", "json") == 0
    assert capsys.readouterr().out.endswith("\n[]\n")
    assert analyze(broken, str(lost)) == 79
    assert "Error [IST0101] (VirtualService default/lost" in capsys.readouterr().out


def test_a_flag_that_is_gone_says_so(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyze(good, "--recursive") == 0
    assert "hardcoded to true" in capsys.readouterr().out


def test_a_folder_stands_for_the_manifests_in_it(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyze(good.parent) == 0
    assert capsys.readouterr().err == f"✔ No validation issues found when analyzing {good}.\n"
