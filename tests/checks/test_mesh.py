from typing import Any

import pytest

from meshdojo.checks.measurement import Request
from meshdojo.checks.mesh import Mesh
from meshdojo.checks.outcome import CannotJudge

pytestmark = pytest.mark.anyio


class Probe:
    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def measure(self, request: Any) -> Any:
        self.asked.append(request)
        return object()


def mesh_of(cluster: Any, probe: Any) -> Mesh:
    return Mesh(cluster, probe)


async def test_one_sample_serves_all_checks_of_a_run(cluster: Any) -> None:
    probe = Probe()
    mesh = mesh_of(cluster, probe)
    first, again = await mesh.measure(Request("http://a/", 5)), await mesh.measure(Request("http://a/", 5))
    other = await mesh.measure(Request("http://a/", 6))
    assert first is again
    assert first is not other
    assert len(probe.asked) == 2


async def test_objects_are_listed_once(cluster: Any, pod: Any) -> None:
    mesh = mesh_of(cluster, Probe())
    cluster.add("pods", pod("a"))
    first = await mesh.list("pods", "fleet")
    cluster.add("pods", pod("b"))
    assert await mesh.list("pods", "fleet") is first


async def test_a_kind_that_the_cluster_does_not_know_cannot_be_judged(cluster: Any) -> None:
    cluster.unknown.add("virtualservices.networking.istio.io")
    with pytest.raises(CannotJudge, match="the cluster has no virtualservices"):
        await mesh_of(cluster, Probe()).list("virtualservices.networking.istio.io", "fleet")
