"""The script is tried in a real bash."""

from __future__ import annotations

import subprocess

import pytest

from meshdojo.istio.istioctl.completion import script
from meshdojo.istio.istioctl.main import main


def _completed(*words: str) -> list[str]:
    line = " ".join(f"'{word}'" for word in words)
    asked = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _istioctl; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    ran = subprocess.run(["bash", "-c", f"{script('bash')}\n{asked}"], capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    return ran.stdout.split()


def test_commands_flags_and_commands_by_their_aliases_are_completed() -> None:
    assert _completed("istioctl", "proxy-c") == ["proxy-config"]
    assert "cluster" in _completed("istioctl", "pc", "")
    assert _completed("istioctl", "proxy-config", "route", "web", "--na") == ["--name", "--namespace"]
    assert _completed("istioctl", "-n", "fleet", "x", "prec") == ["precheck"]
    assert _completed("istioctl", "completion", "b") == ["bash"]


def test_it_is_printed_for_shells_that_it_knows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "zsh"]) == 0
    assert "bashcompinit" in capsys.readouterr().out
    assert main(["completion", "fish"]) == 1
    assert "bash and zsh, not for 'fish'" in capsys.readouterr().err
