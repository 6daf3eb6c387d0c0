"""A real environment for every kubectl that this machine has: those on the PATH, and ``kubectl.1.NN`` beside them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meshdojo.course.content import content_root
from meshdojo.embedded import lifecycle
from meshdojo.embedded.environment import Environment

OLDEST_MINOR = 31
Kubectl = Callable[..., str]


def kubectls() -> list[Path]:
    """Each different kubectl of this machine that is new enough."""
    found: dict[Path, None] = {}
    for folder in os.get_exec_path():
        program = shutil.which("kubectl", path=folder)
        if program:
            path = Path(program).resolve()
            found[path] = None
            for sibling in sorted(path.parent.glob("kubectl.1.*")):
                minor = re.fullmatch(r"kubectl\.1\.(\d+)", sibling.name)
                if minor and int(minor[1]) >= OLDEST_MINOR:
                    found[sibling] = None
    return list(found)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESHDOJO_HOME", str(tmp_path_factory.mktemp("home")))
        started = Environment.named("kubectl")
        lifecycle.start(started)
        yield started
        lifecycle.delete(started)


PROGRAMS: list[Path | None] = [*kubectls()] or [None]


@pytest.fixture(scope="session", params=PROGRAMS, ids=lambda path: path.name if path else "none")
def program(request: pytest.FixtureRequest) -> Path:
    if request.param is None:
        pytest.skip("no kubectl on the PATH")
    return Path(request.param)


@pytest.fixture(scope="session")
def kubectl(program: Path, environment: Environment) -> Kubectl:
    """Runs kubectl; returns its standard output. ``code`` is the exit code that is expected, ``stdin`` its input.

    With a code other than 0, standard error is what counts, and is returned.
    """

    def run(*arguments: str, code: int = 0, stdin: str = "") -> str:
        ran = subprocess.run(
            [str(program), *arguments],
            env={**os.environ, "KUBECONFIG": str(environment.kubeconfig), "KUBE_EDITOR": "true"},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == code, f"{' '.join(arguments)}: {ran.stdout}{ran.stderr}"
        return ran.stderr if code else ran.stdout

    return run


@pytest.fixture(scope="session")
def fleet(kubectl: Kubectl) -> Iterator[Kubectl]:
    """The same, with the fleet running in the namespace ``fleet``."""
    manifest = str(content_root() / "labs" / "base" / "10-fleet.yaml")
    kubectl("apply", "-f", manifest)
    kubectl("wait", "-n", "fleet", "--for=condition=Available", "deployment", "--all", "--timeout=90s")
    yield kubectl
    kubectl("delete", "namespace", "fleet", "--wait")
