"""Limit ranges, beyond the recorded cases of `tests/fidelity/cases/quotas.yaml`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from meshdojo.kubernetes.api import Api


@pytest.mark.parametrize("spec", [{}, {"limits": []}, {"limits": [{"type": "Container"}]}])
def test_a_limit_range_that_says_nothing_limits_nothing(api: Api, spec: dict[str, Any]) -> None:
    async def scenario() -> Any:
        await api.create("limitranges", {"metadata": {"name": "silent"}, "spec": spec}, "default")
        pod = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "x"}]}}
        return await api.create("pods", pod, "default")

    assert asyncio.run(scenario())["spec"]["containers"][0]["resources"] == {}
