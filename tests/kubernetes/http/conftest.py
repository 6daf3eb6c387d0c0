"""A plain HTTP client with the admin's token."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.kubernetes.conftest import Cluster

TOKEN = "test-token"


@pytest.fixture(scope="module")
def http(cluster: Cluster) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=str(cluster.directory / "ca.crt"))
    headers = {"authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=cluster.url, verify=context, headers=headers, timeout=30) as client:
        yield client
