"""The pod that only waits: it is there until it is told to end, and ends at once then."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

APPS = Path(__file__).parents[2] / "apps"


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_waits_until_it_is_asked_to_end(ending: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-m", "client"], cwd=APPS, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stdout.readline().startswith("waiting")
        assert client.poll() is None
        client.send_signal(ending)
        assert client.wait(timeout=30) == 0
