from __future__ import annotations

import pytest

from meshdojo.backends.base import BackendError
from meshdojo.cluster.client import ObjectList
from meshdojo.validation.difference import differences
from meshdojo.validation.record import Record
from meshdojo.validation.setup import known_before, pods_gone
from meshdojo.validation.state import Pod, State

POD = Pod("fleet", "web-1", "uid-1", "Deployment/web", ("istio-proxy", "web"), True, True, "print")
STATE = State({}, (POD,), frozenset(), {}, "istiod")
RECORD = Record("canary", STATE, {})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_pods_of_the_same_lab_may_stay() -> None:
    assert differences(known_before(RECORD, "canary"), STATE) == []


def test_pods_of_another_lab_are_replaced_as_their_logs_and_counters_tell_of_it() -> None:
    before = known_before(RECORD, "mtls")
    assert [str(one) for one in differences(before, STATE)] == [
        "changed: pods fleet/web-1 (relabelled, changed or restarted since)"
    ]
    # What a new one must look like is still known.
    assert before.pods[0].containers == POD.containers


class Going:
    """A cluster in which one more pod is gone each time somebody looks."""

    def __init__(self, going: int) -> None:
        self.left = going

    async def list(self, _resource: str, namespace: str) -> ObjectList:
        names = [f"web-{number}" for number in range(self.left)]
        self.left -= 1
        going = [{"metadata": {"namespace": namespace, "name": name, "deletionTimestamp": "now"}} for name in names]
        return ObjectList([{"metadata": {"namespace": namespace, "name": "stays"}}, *going], "1")


@pytest.mark.anyio
async def test_pods_on_their_way_out_are_waited_for() -> None:
    client = Going(2)
    await pods_gone(client, ["fleet"])  # type: ignore[arg-type]
    assert client.left == -1


@pytest.mark.anyio
async def test_a_pod_that_does_not_go_is_named() -> None:
    with pytest.raises(BackendError, match="still on their way out after 0 s: pods fleet/web-0"):
        await pods_gone(Going(1000), ["fleet"], 0)  # type: ignore[arg-type]
