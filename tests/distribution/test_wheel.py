"""A wheel from a clean clone, installed into an empty environment, runs a lab where no checkout is near."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 900
# What must not reach the installed program from the checkout's own environment.
_OWN = ("PYTHONPATH", "VIRTUAL_ENV", "MESHDOJO_BACKEND", "MESHDOJO_NAME", "MESHDOJO_DATABASE")


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    ran = subprocess.run(list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True, timeout=SECONDS)
    assert ran.returncode == 0, f"{command}: {ran.stdout[-3000:]}{ran.stderr[-3000:]}"
    return ran.stdout


@pytest.fixture(scope="module", name="wheel")
def wheel_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from what git knows, and nothing else that lies about in the checkout."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    clone, out = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("wheel")
    run("git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", clone / "meshdojo", cwd=clone)
    run(sys.executable, "site/build.py", cwd=clone / "meshdojo")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ".", cwd=clone / "meshdojo")
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module", name="installed")
def installed_fixture(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables of an environment into which the wheel was installed, with a home of its own."""
    folder = tmp_path_factory.mktemp("empty")
    uv = Path(sys.executable).with_name("uv")
    run(uv, "venv", "--quiet", "--python", sys.executable, folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    constraint = ROOT / "requirements-dev.lock"
    run(
        uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        python,
        "--constraint",
        _pins(constraint, folder),
        wheel,
        cwd=folder,
    )
    kept = {name: value for name, value in os.environ.items() if name not in _OWN}
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    variables = {**kept, "PATH": path, "MESHDOJO_HOME": str(folder / "h"), "NO_COLOR": "1"}
    yield variables
    subprocess.run([str(python.with_name("meshdojo")), "down", "--delete"], env=variables, cwd=folder, timeout=120)


def _pins(lock: Path, folder: Path) -> Path:
    """The versions of the lock file without the hashes, which a constraint cannot have."""
    pins = [line.split(" \\")[0] for line in lock.read_text().splitlines() if line and not line.startswith((" ", "#"))]
    path = folder / "pins.txt"
    path.write_text("\n".join(pins))
    return path


def test_the_wheel_has_the_course_the_apps_and_the_front_end(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for part in (
        "meshdojo/_content/labs/03-canary/lab.md",
        "meshdojo/_content/labs/base/10-fleet.yaml",
        "meshdojo/_content/apps/images.toml",
        "meshdojo/_content/apps/samples/httpbin.py",
        "meshdojo/checks/probe.yaml",
        "meshdojo/web/templates/base.html",
    ):
        assert part in names
    assert any(name.startswith("meshdojo/web/static/dist/") and name.endswith(".js") for name in names)
    assert not [name for name in names if "__pycache__" in name or name.startswith(("tests/", "node_modules"))]


def test_a_lab_runs_outside_the_repository(installed: dict[str, str], tmp_path: Path) -> None:
    where = run("python", "-c", "import meshdojo.cli.main as main; print(main.__file__)", cwd=tmp_path, env=installed)
    assert str(ROOT) not in where
    assert "canary" in {
        lab["lab"] for lab in json.loads(run("meshdojo", "labs", "--json", cwd=tmp_path, env=installed))
    }
    run("meshdojo", "up", "--detach", cwd=tmp_path, env=installed)
    run("meshdojo", "reset", "canary", cwd=tmp_path, env=installed)
    judged = subprocess.run(
        ["meshdojo", "check", "canary", "--json"],
        cwd=tmp_path,
        env=installed,
        capture_output=True,
        text=True,
        timeout=300,
    )
    outcomes = {one["outcome"] for one in json.loads(judged.stdout)}
    # Nothing is solved yet: it was judged, and the environment is well.
    assert judged.returncode == 1, judged.stdout + judged.stderr
    assert "fail" in outcomes
    assert outcomes <= {"fail", "pass"}


def test_uvx_runs_it_straight_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    pins = _pins(ROOT / "requirements-dev.lock", tmp_path)
    options = ("--quiet", "--isolated", "--python", sys.executable, "--constraints", pins, "--from", wheel)
    kept = {name: value for name, value in os.environ.items() if name not in _OWN}
    env = {**kept, "MESHDOJO_HOME": str(tmp_path / "h"), "NO_COLOR": "1"}
    assert "canary" in run(uv, "tool", "run", *options, "meshdojo", "labs", cwd=tmp_path, env=env)
