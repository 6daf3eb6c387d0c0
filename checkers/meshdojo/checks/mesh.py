"""What a check gets to see: the probe's measurements and the cluster's objects, each fetched once per run."""

from __future__ import annotations

from meshdojo.checks.measurement import Measurement, Request
from meshdojo.checks.outcome import CannotJudge
from meshdojo.checks.probe import Probe
from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient

# As a pod without a sidecar reaches the ingress gateway: the way a customer comes in.
GATEWAY_URL = "http://istio-ingressgateway.istio-system"


class Mesh:
    """One run's view of a cluster. Checks that ask for the same thing get the same answer: one sample, one verdict."""

    def __init__(self, client: HTTPClient, probe: Probe | None = None) -> None:
        self._client = client
        self._probe = probe or Probe(client)
        self._measured: dict[Request, Measurement] = {}
        self._listed: dict[tuple[str, str | None], list[Object]] = {}

    async def measure(self, request: Request) -> Measurement:
        """Send a load (once per run). Raises CannotJudge when the probe does not work."""
        if request not in self._measured:
            self._measured[request] = await self._probe.measure(request)
        return self._measured[request]

    async def list(self, resource: str, namespace: str | None = None) -> list[Object]:
        """The objects of a resource. Raises CannotJudge for a kind that the cluster does not know."""
        key = (resource, namespace)
        if key not in self._listed:
            try:
                self._listed[key] = (await self._client.list(resource, namespace)).items
            except StatusError as error:
                if error.code != 404:
                    raise
                raise CannotJudge(
                    f"the cluster has no {resource}: {error}", "Is Istio installed? 'meshdojo reset LAB' does it."
                ) from error
        return self._listed[key]
