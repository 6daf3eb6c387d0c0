from __future__ import annotations

import pytest

from meshdojo.istio.istioctl.precheck import version_problems


@pytest.mark.parametrize("version", ["v1.31.0", "v1.34.4", "1.36", "v2.0.1"])
def test_versions_that_work(version: str) -> None:
    assert version_problems(version) == []


@pytest.mark.parametrize("version", ["v1.30.9", "v1.9.0", "unknown"])
def test_versions_that_do_not(version: str) -> None:
    (problem,) = version_problems(version)
    assert problem.startswith(f"Error [IST0141] Kubernetes {version} is too old")
