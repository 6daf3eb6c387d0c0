"""Every lab, proven: failed, solved, solved wrongly, reset. On the embedded mesh, and on kind with the real Istio."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from meshdojo.backends.base import Backend
from meshdojo.course.course import load_course
from meshdojo.validation.report import junit
from meshdojo.validation.validate import validate

ARTIFACTS = Path(os.environ.get("MESHDOJO_ARTIFACTS", "artifacts"))


@pytest.mark.parametrize("lab", [lab.id for lab in load_course().labs])
def test_the_lab_is_proven(lab: str, backend: Backend) -> None:
    report = asyncio.run(validate(load_course().lab(lab), backend, folder=ARTIFACTS))
    ARTIFACTS.mkdir(exist_ok=True)
    (ARTIFACTS / f"{lab}-{backend.name}.xml").write_text(junit([report]))
    assert not report.failures, "\n".join(f"{step.phase} {step.name}: {step.problem}" for step in report.failures)
    assert report.proven
