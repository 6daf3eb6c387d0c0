"""What a check gets to see: the probe's measurements and the cluster's objects, each fetched once per run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from meshdojo.checks.convergence import Convergence
from meshdojo.checks.measurement import Measurement, Request
from meshdojo.checks.outcome import CannotJudge
from meshdojo.checks.pods import PROXY, has_sidecar, is_ready
from meshdojo.checks.probe import NAMESPACES, Probe, read
from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.streams import ExecResult

# As a pod without a sidecar reaches the ingress gateway: the way a customer comes in.
GATEWAY_URL = "http://istio-ingressgateway.istio-system"
# Kubernetes gives a pod half a minute to end, unless it says otherwise.
DEPARTURE_SECONDS = 40.0
FOLLOWING_SECONDS, POLL_SECONDS = 8.0, 0.1


class Mesh:
    """One run's view of a cluster. Checks that ask for the same thing get the same answer: one sample, one verdict."""

    def __init__(self, client: HTTPClient, probe: Probe | None = None, convergence: Convergence | None = None) -> None:
        self._client = client
        self._probe = probe or Probe(client)
        self._convergence = convergence or Convergence(client)
        self._measured: dict[Request, Measurement] = {}
        self._listed: dict[tuple[str, str | None], list[Object]] = {}

    async def measure(self, request: Request) -> Measurement:
        """Send a load (once per run). Raises CannotJudge when the probe does not work."""
        if request not in self._measured:
            self._measured[request] = await self._probe.measure(request)
        return self._measured[request]

    async def measure_from(self, pod: Object, request: Request) -> Measurement:
        """Send a load from one of the lab's pods, where who sends it matters; `request.place` plays no part.

        Every image of ours can send one (`apps/Dockerfile`). Raises CannotJudge when the pod's does not.
        """
        result = await self.run(pod, request.command(), seconds=request.deadline + request.timeout)
        return read(result, request, f"the load generator in pod {pod['metadata']['name']}")

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

    async def settled(self) -> None:
        """Wait until every proxy has acknowledged its configuration, in a check that is made without that wait.

        Raises CannotJudge.
        """
        await self._convergence.wait()

    async def departed(self, namespace: str) -> None:
        """Wait until no pod of a namespace is on its way out, in a check without Istio: a Service may lead there still.

        Pods are listed anew afterwards. Raises CannotJudge when one stays for longer than it may.
        """
        try:
            async with asyncio.timeout(DEPARTURE_SECONDS):
                while True:
                    found = await self._client.list("pods", namespace)
                    leaving = [pod["metadata"]["name"] for pod in found.items if "deletionTimestamp" in pod["metadata"]]
                    if not leaving:
                        break
                    async for _change in self._client.watch("pods", namespace, since=found.resource_version):
                        break
        except TimeoutError:
            reason = f"pods of namespace {namespace} were deleted, and do not go: {', '.join(leaving)}"
            raise CannotJudge(reason, f"kubectl describe pods -n {namespace}") from None
        self._listed.pop(("pods", namespace), None)

    async def led_to(self, pod: Object, url: str) -> None:
        """Wait until anything answers a pod at a URL, in a check without Istio.

        A node follows a Service's new pods within a second, and tells nobody when. Returns in any case, after
        `FOLLOWING_SECONDS`: the sample that is judged comes afterwards. Raises CannotJudge when the pod cannot ask.
        """
        deadline = time.monotonic() + FOLLOWING_SECONDS
        while time.monotonic() < deadline:
            if (await self.measure_from(pod, Request(url, 1, count_by="status", timeout=1))).statuses.total():
                return
            await asyncio.sleep(POLL_SECONDS)

    async def refusal(self, namespace: str, pod: Object) -> str:
        """Why the API server would not take a new pod in a namespace, '' when it would. Nothing is stored.

        Raises CannotJudge when the namespace is not there.
        """
        try:
            await self._client.create("pods", pod, namespace, dry_run=True)
        except StatusError as error:
            if error.code == 404:
                raise CannotJudge(f"{error}", "'meshdojo reset LAB' sets the lab up again.") from error
            return str(error)
        return ""

    async def would_become(self, namespace: str, pod: Object) -> Object:
        """What the API server would make of a new pod in a namespace, injection included. Nothing is stored.

        Raises CannotJudge when the namespace is not there or the pod would be refused.
        """
        try:
            return await self._client.create("pods", pod, namespace, dry_run=True)
        except StatusError as error:
            raise CannotJudge(
                f"namespace {namespace} takes no pod: {error}", "'meshdojo reset LAB' sets the lab up again."
            ) from error

    async def run(
        self, pod: Object, command: Sequence[str], container: str | None = None, seconds: float = 20.0
    ) -> ExecResult:
        """Run a command in a container (None: the default one) of one of the lab's pods, where the probe cannot stand
        for it.

        Raises CannotJudge when it cannot be started there.
        """
        metadata = pod["metadata"]
        try:
            return await self._client.exec(metadata["namespace"], metadata["name"], command, container, seconds=seconds)
        except StatusError as error:
            where = f"{metadata['namespace']}/{metadata['name']}"
            raise CannotJudge(f"nothing can be run in the pod {where}: {error}", "Is the pod running?") from error

    async def ask_proxy(self, pod: Object, path: str) -> str:
        """What the Envoy of a pod answers on its admin interface to a GET, such as ``clusters`` or ``stats``.

        Asked anew each time. Of the counters it tells what the pod's annotations ask for: see proxyStatsMatcher.
        Raises CannotJudge when it does not answer.
        """
        answer = await self.run(pod, ["pilot-agent", "request", "GET", path], PROXY)
        if answer.exit_code:
            said = (answer.stderr or answer.stdout).decode(errors="replace").strip()[-200:]
            name = pod["metadata"]["name"]
            raise CannotJudge(f"the proxy of pod {name} does not answer: {said}", "Is the pod running?")
        return answer.stdout.decode(errors="replace")

    async def inside(self) -> Object:
        """The pod of the probe inside the mesh: a caller like any other, whose proxy is ours to look into.

        Raises CannotJudge when it is not ready.
        """
        for pod in await self.list("pods", NAMESPACES["inside"]):
            if is_ready(pod) and has_sidecar(pod):
                return pod
        raise CannotJudge("the probe inside the mesh is not ready", "Try again; 'meshdojo reset LAB' makes it anew.")
