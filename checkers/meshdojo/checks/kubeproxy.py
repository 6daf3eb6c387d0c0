"""Whether the nodes have followed the Services: what kube-proxy tells of itself.

A request from outside the mesh goes to a Service by the rules that kube-proxy has written on its node. It writes them
at most once a second (`minSyncPeriod`), so that for a second after a rollout a Service may lead to pods that are gone.
No object of the API says how far it is, but its metrics do: changes that wait, and when rules were last asked for and
last written. They are served to the node's loopback, which a port-forward to its pod reaches.

Source: pkg/proxy/metrics and pkg/proxy/runner of Kubernetes 1.34. Where there is no kube-proxy to ask (another
implementation, the embedded cluster, no right to ask) nothing is waited for.
"""

from __future__ import annotations

import asyncio
import re

from meshdojo.cluster.errors import StatusError, Unreachable
from meshdojo.cluster.http import HTTPClient

NAMESPACE, LABELS, PORT = "kube-system", "k8s-app=kube-proxy", 10249
ANSWER_SECONDS = 5.0
_METRIC = re.compile(
    r"^kubeproxy_sync_proxy_rules_(last_queued_timestamp_seconds|last_timestamp_seconds|\w+_changes_pending)"
    r"(\{[^}]*\})? (\S+)$",
    re.MULTILINE,
)


class Nodes:
    """The kube-proxies of one cluster."""

    def __init__(self, client: HTTPClient) -> None:
        self._client = client
        self._pods: list[str] | None = None

    async def behind(self) -> list[str]:
        """The kube-proxies that have yet to write down what they know. Raises ClusterError."""
        pods = self._pods
        if pods is None:
            found = await self._client.list("pods", NAMESPACE, labels=LABELS)
            pods = self._pods = [pod["metadata"]["name"] for pod in found.items]
        answers = await asyncio.gather(*(self._is_behind(pod) for pod in pods))
        return [pod for pod, behind in zip(pods, answers, strict=True) if behind]

    async def _is_behind(self, pod: str) -> bool:
        try:
            metrics = await self._client.pod_get(NAMESPACE, pod, PORT, "/metrics", seconds=ANSWER_SECONDS)
        except (StatusError, Unreachable):
            self._pods = None  # made anew, perhaps; the next look will see
            return False
        return is_behind(metrics.decode())


def is_behind(metrics: str) -> bool:
    """Whether changes wait, or rules were asked for (for a family of addresses) after they were last written."""
    asked: dict[str, float] = {}
    written: dict[str, float] = {}
    for name, labels, number in _METRIC.findall(metrics):
        if name == "last_queued_timestamp_seconds":
            asked[labels] = float(number)
        elif name == "last_timestamp_seconds":
            written[labels] = float(number)
        elif float(number):
            return True
    return any(written.get(labels, 0.0) < when for labels, when in asked.items())
