"""schemathesis throws at the API server what its own OpenAPI documents allow, and what they do not: no server error.

`test_bad_input.py` knows Kubernetes and gets further; this one knows nothing, and so leaves nothing out.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.kubernetes.conftest import Cluster

TOKEN = "test-token"
# Every operation of the groups that a learner meets first, with random values.
GROUPS = ("api/v1", "apis/apps/v1", "apis/networking.k8s.io/v1", "apis/policy/v1")
# A watch ends when its time is up, so none is asked for. In a namespace that is not there nothing can be created.
PARAMETERS = """\
[parameters]
"query.watch" = false
"path.namespace" = "default"
"path.name" = ["one", "default"]
"""


@pytest.mark.parametrize("document", GROUPS)
def test_no_request_breaks_the_server(cluster: Cluster, http: httpx.Client, tmp_path: Path, document: str) -> None:
    (tmp_path / "schemathesis.toml").write_text(PARAMETERS)
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", f"{cluster.url}/openapi/v3/{document}"]
    command += ["--url", cluster.url, "--tls-verify", str(cluster.directory / "ca.crt")]
    command += ["--header", f"Authorization: Bearer {TOKEN}", "--checks", "not_a_server_error", "--seed", "1"]
    command += ["--suppress-health-check", "all", "--warnings", "off", "--no-color", "--request-timeout", "60"]
    command += ["--phases", "fuzzing", "--max-examples", "1"]
    hooks = {"SCHEMATHESIS_HOOKS": "fuzz_hooks", "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **hooks}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]
    assert http.get("/readyz").status_code == 200
