from __future__ import annotations

import base64
from typing import Any

import pytest

from meshdojo.cluster.errors import StatusError
from meshdojo.validation import record
from meshdojo.validation.record import Record
from meshdojo.validation.state import Key, Pod, State

pytestmark = pytest.mark.anyio
KEY = Key("services", "fleet", "web")
POD = Pod("fleet", "web-1", "uid-1", "Deployment/web", ("istio-proxy", "web"), True, True, "print")
STATE = State({KEY: {"spec": {"ports": [80]}}}, (POD,), frozenset({"uid-2"}), {"fleet": "uid-3"}, "uid-4")
RECORD = Record("canary", STATE, {KEY: "digest"})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Cluster:
    """Keeps one ConfigMap."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] | None = None

    async def apply(self, manifest: dict[str, Any]) -> None:
        self.kept = manifest

    async def get(self, resource: str, name: str, namespace: str) -> dict[str, Any]:
        assert (resource, name, namespace) == ("configmaps", "lab-start", "meshdojo-outside")
        if self.kept is None:
            raise StatusError(404, "NotFound", "not found")
        return self.kept

    async def delete(self, resource: str, name: str, namespace: str) -> None:
        await self.get(resource, name, namespace)
        self.kept = None


@pytest.fixture
def cluster() -> Any:
    return Cluster()


async def test_what_was_written_is_read(cluster: Any) -> None:
    await record.write(cluster, RECORD)
    assert await record.read(cluster) == RECORD


async def test_none_is_there_before_and_after(cluster: Any) -> None:
    assert await record.read(cluster) is None
    await record.write(cluster, RECORD)
    await record.forget(cluster)
    await record.forget(cluster)
    assert await record.read(cluster) is None


@pytest.mark.parametrize(
    "damage",
    [
        {},
        {"binaryData": {}},
        {"binaryData": {"record": "not base64!"}},
        {"binaryData": {"record": base64.b64encode(b"not gzip").decode()}},
        {"binaryData": None},
    ],
)
async def test_a_damaged_one_counts_as_none(cluster: Any, damage: dict[str, Any]) -> None:
    cluster.kept = damage
    assert await record.read(cluster) is None


async def test_one_of_another_version_counts_as_none(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "FORMAT", 99)
    await record.write(cluster, RECORD)
    monkeypatch.undo()
    assert await record.read(cluster) is None
