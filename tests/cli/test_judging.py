"""What ``meshdojo check`` says beside the outcome of the checks."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

import pytest

from meshdojo.cli import judging
from meshdojo.cluster.http import HTTPClient
from meshdojo.validation import record as record_file


@pytest.mark.parametrize(
    ("record", "note"),
    [
        (None, ""),
        (SimpleNamespace(lab=""), ""),
        (SimpleNamespace(lab="canary"), ""),
        (SimpleNamespace(lab="mtls"), "lab 'mtls' is set up; 'meshdojo reset canary' sets 'canary' up"),
    ],
)
def test_a_lab_that_is_not_set_up_is_said(record: Any, note: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def read(client: object) -> Any:
        return record

    monkeypatch.setattr(record_file, "read", read)
    monkeypatch.setattr(HTTPClient, "from_kubeconfig", lambda path: contextlib.nullcontext())
    backend: Any = SimpleNamespace(kubeconfig="")
    assert asyncio.run(judging.other_lab(backend, "canary")) == note
