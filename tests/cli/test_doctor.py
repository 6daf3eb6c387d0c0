"""What ``meshdojo doctor`` finds on this machine, and on ones that lack something."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.test_main import meshdojo

from meshdojo.cli.doctor import docker
from meshdojo.embedded import doctor
from meshdojo.embedded.doctor import EXAMINATIONS, Finding


def test_a_machine_on_which_the_tests_run_is_well(tmp_path: Path) -> None:
    ran = meshdojo("doctor", "--json", home=tmp_path)
    found = {one["subject"]: one for one in json.loads(ran.stdout)}
    assert ran.returncode == 0, ran.stdout
    assert {"Python", "Envoy", "kubectl", "loopback addresses", "open files"} <= set(found)
    assert all(one["verdict"] != "wrong" for one in found.values())


def test_what_a_backend_lacks_is_named_with_the_remedy(tmp_path: Path) -> None:
    ran = meshdojo("doctor", "--backend", "minikube", home=tmp_path, PATH=str(tmp_path))
    assert ran.returncode == 1
    assert "wrong  minikube: not on the PATH" in ran.stdout
    assert "'kubectl' is not on the PATH" in ran.stdout
    assert "https://kubernetes.io/docs/tasks/tools/" in ran.stdout
    assert meshdojo("doctor", "--backend", "moon", home=tmp_path).returncode == 2


def test_every_examination_has_a_subject_of_its_own() -> None:
    assert len({examination().subject for examination in EXAMINATIONS}) == len(EXAMINATIONS)


def test_findings_that_are_not_well_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.version_info", (3, 10, 0))
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("MESHDOJO_HOME", "/proc/nosuch")
    found: list[Finding] = [
        doctor.python(),
        doctor.system(),
        doctor.kubectl(),
        doctor.proxies(),
        doctor.state(),
    ]
    assert [one.verdict for one in found] == ["wrong", "warning", "wrong", "warning", "wrong"]
    assert all(one.remedy for one in found)


@pytest.mark.parametrize(("limit", "verdict"), [("128\n", "warning"), ("512\n", "ok")])
def test_nodes_in_containers_need_many_inotify_instances(tmp_path: Path, limit: str, verdict: str) -> None:
    file = tmp_path / "max_user_instances"
    assert doctor.watches(file) is None
    file.write_text(limit)
    found = doctor.watches(file)
    assert found is not None
    assert found.verdict == verdict
    assert found.remedy == ("sudo sysctl fs.inotify.max_user_instances=512" if verdict == "warning" else "")


@pytest.mark.parametrize(
    ("script", "verdict", "words"),
    [
        ("echo 28.1", "ok", "engine 28.1"),
        ("echo 'permission denied while trying to connect' >&2; exit 1", "wrong", "permission denied"),
        ("exit 1", "wrong", "exit code 1"),
    ],
)
def test_docker_is_well_when_its_engine_answers(script: str, verdict: str, words: str, tmp_path: Path) -> None:
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    found = docker(str(program))
    assert (found.verdict, words in found.saw) == (verdict, True)
    assert bool(found.remedy) == (verdict == "wrong")
    assert docker(str(tmp_path)).verdict == "wrong"
