from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from meshdojo.istio.istioctl import tree
from meshdojo.istio.istioctl.main import main


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["foo"], 64, 'Error: unknown command "foo" for "istioctl"'),
        (["install", "--bar"], 64, "Error: unknown flag: --bar"),
        (["install", "foo"], 1, "Error: accepts 0 arg(s), received 1"),
        (["install", "--revision", "Bad_", "-y"], 1, "Error: invalid revision specified: Bad_"),
        (["version", "now"], 64, 'Error: unknown command "now" for "istioctl version"'),
        (
            ["install", "-y", "--set", "profile=nosuch"],
            1,
            'Error: generate config: merge inputs: profile "nosuch" not found',
        ),
        (
            ["manifest", "generate", "-f", "/nowhere/x"],
            1,
            "Error: merge inputs: open /nowhere/x: no such file or directory",
        ),
        (["dashboard", "kiali"], 1, "Error: istioctl dashboard is not part of the embedded mesh's istioctl"),
        (["uninstall", "-y"], 1, "Error: at least one of the --revision"),
        (["version", "--kubeconfig", "/nowhere/x", "-o", "xml"], 1, "Error: --output must be 'yaml' or 'json'"),
    ],
)
def test_mistakes(argv: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == code
    captured = capsys.readouterr()
    assert captured.err.startswith(message)
    assert captured.out == ""


def test_help_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in ([], ["--help"], ["help"], ["install", "-h"], ["help", "install"], ["pc"], ["x", "describe"]):
        assert main(argv) == 0
        assert "Usage:\n  istioctl" in capsys.readouterr().out


def test_every_command_can_be_imported(capsys: pytest.CaptureFixture[str]) -> None:
    """`tree` names modules and functions by text; each must exist."""
    for argv in (["kube-inject", "--filename", "/nowhere/x"], ["analyze", "/nowhere/x", "--use-kube=false"]):
        assert main(argv) == 1
        assert "/nowhere/x" in capsys.readouterr().err


def test_a_manifest_without_a_cluster(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["manifest", "generate", "--set", "profile=minimal"]) == 0
    objects = [one for one in yaml.safe_load_all(capsys.readouterr().out) if one]
    assert "istiod" in [one["metadata"]["name"] for one in objects if one["kind"] == "Deployment"]
    path = tmp_path / "out.yaml"
    assert main(["manifest", "generate", "--set", "profile=minimal", "-o", str(path)]) == 0
    assert [one for one in yaml.safe_load_all(path.read_text()) if one] == objects


def test_a_dry_run_needs_no_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "-y", "--dry-run", "--set", "profile=demo", "--kubeconfig", "/nowhere/x"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "- Processing resources for Istio core.",
        "✔ Istio core installed ⛵️",
        "- Processing resources for Istiod.",
        "✔ Istiod installed 🧠",
        "- Processing resources for Ingress gateways.",
        "✔ Ingress gateways installed 🛬",
        "- Processing resources for Egress gateways.",
        "✔ Egress gateways installed 🛫",
        "✔ Installation complete",
    ]


def test_what_has_no_effect_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "--dry-run", "--set", "meshConfig.enableTracing=true"]) == 0
    assert capsys.readouterr().err.startswith("! meshConfig.enableTracing has no effect in the embedded mesh\n")


def test_saying_no(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert main(["install", "--set", "profile=demo"]) == 1
    out = capsys.readouterr().out
    assert out.startswith('This will install the Istio 1.31-dev profile "demo"')
    assert out.endswith("Proceed? (y/N) Cancelled.\n")


def test_starting_imports_nothing_heavy() -> None:
    """The command line must be there as fast as kubectl; heavy modules come with the command that needs them."""
    code = (
        "import sys, meshdojo.istio.istioctl.main\n"
        "print(*sorted({'pydantic', 'aiohttp', 'yaml', 'asyncio', 'typer', 'rich'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


def test_globals_are_those_of_kubectl_users() -> None:
    assert {flag.name for flag in tree.GLOBALS} >= {"context", "kubeconfig", "namespace", "istioNamespace"}
