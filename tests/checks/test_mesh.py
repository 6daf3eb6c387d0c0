import pytest

from meshdojo.checks.measurement import Request
from meshdojo.checks.mesh import Mesh
from meshdojo.checks.outcome import CannotJudge

pytestmark = pytest.mark.anyio


class Probe:
    def __init__(self):
        self.asked = []

    async def measure(self, request):
        self.asked.append(request)
        return object()


async def test_one_sample_serves_all_checks_of_a_run(cluster):
    probe = Probe()
    mesh = Mesh(cluster, probe)
    first, again = await mesh.measure(Request("http://a/", 5)), await mesh.measure(Request("http://a/", 5))
    other = await mesh.measure(Request("http://a/", 6))
    assert first is again
    assert first is not other
    assert len(probe.asked) == 2


async def test_objects_are_listed_once(cluster, pod):
    mesh = Mesh(cluster, Probe())
    cluster.add("pods", pod("a"))
    first = await mesh.list("pods", "fleet")
    cluster.add("pods", pod("b"))
    assert await mesh.list("pods", "fleet") is first


async def test_a_kind_that_the_cluster_does_not_know_cannot_be_judged(cluster):
    cluster.unknown.add("virtualservices.networking.istio.io")
    with pytest.raises(CannotJudge, match="the cluster has no virtualservices"):
        await Mesh(cluster, Probe()).list("virtualservices.networking.istio.io", "fleet")
