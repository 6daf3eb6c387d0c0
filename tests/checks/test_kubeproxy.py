"""What kube-proxy tells of itself, in the words of the real one (1.34)."""

from typing import Any

import pytest

from meshdojo.checks.kubeproxy import Nodes, is_behind
from meshdojo.cluster.errors import StatusError, Unreachable

pytestmark = pytest.mark.anyio
IPV4, IPV6 = '{ip_family="IPv4"}', '{ip_family="IPv6"}'


def metrics(queued: str = "1.7958948234796782e+09", written: str = "1.7958948235175552e+09", pending: int = 0) -> str:
    prefix = "kubeproxy_sync_proxy_rules"
    return f"""# HELP {prefix}_endpoint_changes_pending Pending proxy rules Endpoint changes
{prefix}_endpoint_changes_pending {pending}
{prefix}_endpoint_changes_total 72
{prefix}_service_changes_pending 0
{prefix}_last_queued_timestamp_seconds{IPV4} {queued}
{prefix}_last_queued_timestamp_seconds{IPV6} 1.7958927627997682e+09
{prefix}_last_timestamp_seconds{IPV4} {written}
{prefix}_last_timestamp_seconds{IPV6} 1.7958927631020362e+09
"""


@pytest.mark.parametrize(
    ("said", "behind"),
    [
        (metrics(), False),
        (metrics(pending=2), True),
        (metrics(queued="1.7958948235200000e+09"), True),
        (metrics().replace(IPV4, ""), False),
        (metrics(queued="1.7958948235200000e+09").replace(IPV4, ""), True),
        ("", False),
    ],
    ids=["followed", "changes wait", "rules asked for", "one family", "one family, rules asked for", "tells nothing"],
)
def test_behind(said: str, behind: bool) -> None:
    assert is_behind(said) is behind


async def test_each_kube_proxy_is_asked_on_its_own_loopback(cluster: Any, pod: Any) -> None:
    said = {"kube-proxy-a": metrics(), "kube-proxy-b": metrics(pending=1)}
    cluster.add("pods", *(pod(name, "kube-system", **{"k8s-app": "kube-proxy"}) for name in said))
    asked = []

    def answer(namespace: str, name: str, port: int, path: str) -> bytes:
        asked.append((namespace, port, path))
        return said[name].encode()

    cluster.on_pod_get = answer
    assert await Nodes(cluster).behind() == ["kube-proxy-b"]
    assert asked == [("kube-system", 10249, "/metrics")] * 2


async def test_where_nobody_can_be_asked_nothing_is_waited_for(cluster: Any, pod: Any) -> None:
    nodes = Nodes(cluster)
    assert await nodes.behind() == []
    cluster.add("pods", pod("kube-proxy-a", "kube-system", **{"k8s-app": "kube-proxy"}))
    for error in (StatusError(403, "Forbidden", "no port-forward"), Unreachable("port 10249 does not answer")):
        nodes = Nodes(cluster)

        def refuse(*_: Any, error: Exception = error) -> bytes:
            raise error

        cluster.on_pod_get = refuse
        assert await nodes.behind() == []
