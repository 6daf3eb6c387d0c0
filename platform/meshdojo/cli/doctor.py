"""``meshdojo doctor``: whether this machine has what is needed."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from meshdojo.cli.console import EXIT_FAILED, out
from meshdojo.cli.options import DEFAULT_BACKEND, AsJson, BackendName

if TYPE_CHECKING:
    from meshdojo.embedded.doctor import Finding

# What each backend runs, beyond what the embedded one needs.
PROGRAMS = {
    "embedded": (),
    "kind": ("docker", "kind", "istioctl"),
    "minikube": ("minikube", "istioctl"),
    "context": ("istioctl",),
}
NODES_IN_CONTAINERS = ("kind", "minikube")
ENGINE_SECONDS = 10
_STYLES = {"ok": "green", "warning": "yellow", "wrong": "red"}


def doctor(as_json: AsJson = False, backend: BackendName = DEFAULT_BACKEND) -> None:
    """Look at this machine: what is needed, what is there, and what to do. Exit code 1 when something is missing.

    Example: meshdojo doctor --backend kind
    """
    findings = list(examined(backend))
    if as_json:
        out.print_json(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            style = _STYLES[finding.verdict]
            out.print(f"[{style}]{finding.verdict:>7}[/{style}]  {finding.subject}: ", end="")
            out.print(finding.saw, markup=False)
            for line in finding.remedy.splitlines():
                out.print(f"         {line}", markup=False)
    if any(finding.verdict == "wrong" for finding in findings):
        raise typer.Exit(EXIT_FAILED)


def examined(backend: str) -> list[Finding]:
    """The findings for a backend. Raises `BackendError` for an unknown one."""
    import shutil

    from meshdojo.backends.base import BackendMissing
    from meshdojo.backends.kubectl import kubectl_version
    from meshdojo.backends.select import open_backend
    from meshdojo.embedded.doctor import Finding, examine, watches

    open_backend(backend)
    findings = [one for one in examine() if backend == "embedded" or one.subject not in ("Envoy", "loopback addresses")]
    findings = [one for one in findings if one.subject != "kubectl"]
    try:
        major, minor = kubectl_version()
        findings.append(Finding("kubectl", "ok", f"version {major}.{minor}"))
    except BackendMissing as error:
        saw, _, remedy = str(error).partition(". ")
        findings.append(Finding("kubectl", "wrong", saw, remedy))
    limit = watches() if backend in NODES_IN_CONTAINERS else None
    if limit is not None:
        findings.append(limit)
    for program in PROGRAMS[backend]:
        path = shutil.which(program)
        if path is None:
            remedy = f"Install {program}, or use '--backend embedded', which needs none of it."
            findings.append(Finding(program, "wrong", "not on the PATH", remedy))
        elif program == "docker":
            findings.append(docker(path))
        else:
            findings.append(Finding(program, "ok", path))
    return findings


def docker(path: str) -> Finding:
    """Whether its engine answers, too: the program alone says nothing, and few users may talk to the engine."""
    import subprocess

    from meshdojo.embedded.doctor import Finding

    command = [path, "version", "--format", "{{.Server.Version}}"]
    remedy = "Start Docker; where it runs and refuses you: sudo usermod -aG docker $USER, then log in anew."
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=ENGINE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Finding("docker", "wrong", f"{path}: its engine gave no answer for {ENGINE_SECONDS} seconds", remedy)
    except OSError as error:
        return Finding("docker", "wrong", f"{path}: {error.strerror}", remedy)
    if ran.returncode:
        said = (ran.stderr.strip() or ran.stdout.strip() or f"exit code {ran.returncode}").splitlines()[0]
        return Finding("docker", "wrong", f"{path}: {said}", remedy)
    return Finding("docker", "ok", f"{path}, engine {ran.stdout.strip()}")
