"""A small mesh of a server in two versions and three clients, the same on every backend; see `conftest.py`.

    client      behaviour         in the mesh        app=client, version=v1; its proxy shows all counters of clusters
    outside     behaviour         without a sidecar
    other       behaviour-other   in the mesh        app=other

A test applies Istio's objects, sends requests from one of the pods and looks at the answers, which name the pod that
gave them and everything that it was sent. Commands go in by exec, so that nothing of a test depends on the mesh that
it examines.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from tests.behaviour.logs import Entry, parse

from meshdojo.backends.base import Backend
from meshdojo.checks.convergence import Convergence
from meshdojo.checks.pods import is_ready
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.managed import MANAGED_LABEL, MANAGED_VALUE
from meshdojo.cluster.rollout import completed
from meshdojo.validation.setup import silent

HERE = Path(__file__).parent
# Another name where several runs share one cluster.
NAMESPACE = os.environ.get("MESHDOJO_TEST_NAMESPACE", "behaviour")
OTHER = f"{NAMESPACE}-other"
HOST = f"server.{NAMESPACE}.svc.cluster.local"
GATEWAY = "http://istio-ingressgateway.istio-system"
CLIENT_IMAGE = "meshdojo/client:1.0"
REPLICAS = {"v1": 2, "v2": 2}
READY_SECONDS, SETTLE_SECONDS = 240, 60
QUIET_LOOKS = 5  # a look takes some 100 ms
# What a pod has to ask for, as proxies show but few of their counters.
COUNTERS = {
    "proxy.istio.io/config": "proxyStatsMatcher:\n  inclusionPrefixes: [cluster.outbound, http.outbound]\n",
    "sidecar.istio.io/statsInclusionRegexps": r"filesystem\.write_.*,filesystem\.reopen_.*",
}
NAMESPACES = {"client": NAMESPACE, "outside": NAMESPACE, "other": OTHER}
T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """One answer. `headers` are pairs, names in small letters; `status` 0: none came, `error` says why."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    error: str = ""
    seconds: float = 0.0

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for one, value in self.headers if one == name), None)

    @property
    def echo(self) -> dict[str, Any]:
        """What the server got: pod, version, method, path, headers."""
        assert self.status, self.error
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def pod(self) -> str:
        return str(self.echo["pod"])

    @property
    def version(self) -> str:
        return str(self.echo["version"])

    @property
    def received(self) -> dict[str, str]:
        """The request headers as the server got them."""
        found: dict[str, str] = self.echo["headers"]
        return found


class World:
    """The pods of one backend. Every method may be called from a test without an event loop."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._runner = asyncio.Runner()
        self._client: HTTPClient | None = None
        self._applied: list[Any] = []

    def apply(self, text: str) -> None:
        """Apply objects (in namespace `behaviour` unless they say otherwise); return when every proxy follows them."""
        objects = [one for one in yaml.safe_load_all(text) if one]
        for one in objects:
            one["metadata"].setdefault("namespace", NAMESPACE)

        async def apply(client: HTTPClient) -> None:
            self._applied += objects
            await client.apply(objects, field_manager="behaviour")
            await Convergence(client).wait(SETTLE_SECONDS)

        self.run(apply)

    def send(
        self, requests: Sequence[Mapping[str, Any]], source: str = "client", parallel: bool = False
    ) -> list[Answer]:
        """Send requests ({"url", "method", "headers"}) from a pod, one after another over kept-alive connections.

        `parallel`: all at once, each over a connection of its own.
        """
        mode = "parallel" if parallel else "in turn"

        async def send(client: HTTPClient) -> list[Answer]:
            output = await self._python(client, source, "requests.py", json.dumps(list(requests)), mode)
            return [_answer(one) for one in json.loads(output)]

        return self.run(send)

    def get(self, url: str = "http://server/", headers: Mapping[str, str] | None = None, **options: Any) -> Answer:
        """One request."""
        return self.many(1, url, headers, **options)[0]

    def many(
        self,
        number: int,
        url: str = "http://server/",
        headers: Mapping[str, str] | None = None,
        source: str = "client",
        method: str = "GET",
        parallel: bool = False,
    ) -> list[Answer]:
        """The same request several times."""
        return self.send([{"url": url, "method": method, "headers": dict(headers or {})}] * number, source, parallel)

    def pods(self, version: str) -> list[str]:
        """The names of the server's pods of a version."""
        return self.run(lambda client: self._server_pods(client, version))

    def seen(self, test: str, version: str) -> tuple[int, dict[str, Any] | None]:
        """How many requests with ``x-test: TEST`` the pods of a version got, and the last of them."""
        return self.run(lambda client: self._seen(client, test, version))

    def arrived(self, test: str, version: str, wanted: int) -> tuple[int, dict[str, Any] | None]:
        """As `seen`, for requests that nobody waits for: returns when there are `wanted`, or none came for a while."""

        async def arrived(client: HTTPClient) -> tuple[int, dict[str, Any] | None]:
            found, quiet = await self._seen(client, test, version), 0
            while found[0] < wanted and quiet < QUIET_LOOKS:
                last, found = found, await self._seen(client, test, version)
                quiet = quiet + 1 if found[0] == last[0] else 0
            return found

        return self.run(arrived)

    def log(self, source: str, request_id: str, wanted: int = 1) -> list[Entry]:
        """What the proxies of the pods with ``app=SOURCE`` wrote about requests with this ``x-request-id``.

        (No UUID: of one, Envoy changes a digit, in which it notes that the request is traced.)

        Proxies write once a second: returns when there are `wanted` lines. Raises TimeoutError.
        """

        async def log(client: HTTPClient) -> list[Entry]:
            async with asyncio.timeout(SETTLE_SECONDS):
                while True:
                    pods = await self._pods(client, source)
                    texts = [await client.logs(*pod, "istio-proxy") for pod in pods]
                    found = [entry for text in texts for entry in parse(text) if entry.id == request_id]
                    if len(found) >= wanted:
                        return found
                    await asyncio.sleep(0.1)

        return self.run(log)

    def admin(self, source: str, path: str, method: str = "GET") -> str:
        """What the proxy of the pod with ``app=SOURCE`` answers on its admin interface."""

        async def admin(client: HTTPClient) -> str:
            [(namespace, pod)] = await self._pods(client, source)
            command = ["pilot-agent", "request", method, path]
            result = await client.exec(namespace, pod, command, "istio-proxy")
            assert result.exit_code == 0, result.stderr.decode()
            return result.stdout.decode()

        return self.run(admin)

    def set_up(self) -> None:
        self._runner.run(self._set_up())

    async def _set_up(self) -> None:
        await self.backend.ensure_istio(silent)
        await self.backend.ensure_images(silent)
        await self.backend.reset(NAMESPACE, OTHER)
        objects = [*(_namespace(name) for name in (NAMESPACE, OTHER)), _service(), *_servers(), *_clients()]
        client = self._client = HTTPClient.from_kubeconfig(self.backend.kubeconfig)
        await client.apply(objects, field_manager="behaviour")
        async with asyncio.timeout(READY_SECONDS):
            names = [(one["metadata"]["namespace"], one["metadata"]["name"]) for one in objects if "spec" in one]
            await asyncio.gather(*(completed(client, *key) for key in names if key[1] != "server"))
        await Convergence(client).wait(SETTLE_SECONDS)

    def tear_down(self) -> None:
        async def tear_down() -> None:
            await self.backend.reset(NAMESPACE, OTHER)
            if self._client is not None:
                await self._client.close()

        self._runner.run(tear_down())
        self._runner.close()

    def undo(self) -> None:
        """Delete what `apply` made; return when no proxy follows it any more."""
        applied, self._applied = self._applied, []

        async def undo(client: HTTPClient) -> None:
            for one in applied:
                resource = await client.resource_of(one)
                try:
                    await client.delete(resource.name, one["metadata"]["name"], one["metadata"]["namespace"])
                except StatusError as error:
                    if error.code != 404:
                        raise
            await Convergence(client).wait(SETTLE_SECONDS)

        if applied:
            self.run(undo)

    def run(self, act: Callable[[HTTPClient], Coroutine[Any, Any, T]]) -> T:
        """Do something with a client of the cluster, from a test without an event loop."""
        assert self._client is not None
        return self._runner.run(act(self._client))

    async def _pods(self, client: HTTPClient, source: str) -> list[tuple[str, str]]:
        """Namespace and name of the ready pods with ``app=SOURCE``."""
        namespace = NAMESPACES.get(source, NAMESPACE)
        found = await client.list("pods", namespace, labels=f"app={source}")
        return [(namespace, one["metadata"]["name"]) for one in found.items if is_ready(one)]

    async def _python(self, client: HTTPClient, source: str, script: str, *arguments: str) -> bytes:
        """Run a script of this folder in a pod: what it prints."""
        [(namespace, pod)] = await self._pods(client, source)
        command = ["python", "-c", (HERE / script).read_text(), *arguments]
        result = await client.exec(namespace, pod, command, "client", seconds=120)
        assert result.exit_code == 0, result.stderr.decode()
        return result.stdout

    async def _seen(self, client: HTTPClient, test: str, version: str) -> tuple[int, dict[str, Any] | None]:
        pods = await self._server_pods(client, version)
        command = ["curl", "-sS", f"http://localhost:8080/seen/{test}"]
        results = await asyncio.gather(*(client.exec(NAMESPACE, pod, command, "server") for pod in pods))
        found = [json.loads(result.stdout) for result in results]
        return sum(one["count"] for one in found), next((one["last"] for one in found if one["last"]), None)

    async def _server_pods(self, client: HTTPClient, version: str) -> list[str]:
        found = await client.list("pods", NAMESPACE, labels=f"app=server,version={version}")
        return sorted(one["metadata"]["name"] for one in found.items if is_ready(one))


def versions(answers: Iterable[Answer]) -> Counter[str]:
    """How many answers came from each version."""
    return Counter(answer.version for answer in answers)


def _answer(one: Mapping[str, Any]) -> Answer:
    if "error" in one:
        return Answer(0, (), "", one["error"])
    headers = tuple((name, value) for name, value in one["headers"])
    return Answer(one["status"], headers, one["body"], seconds=one["seconds"])


def _namespace(name: str) -> dict[str, Any]:
    labels = {"istio-injection": "enabled", MANAGED_LABEL: MANAGED_VALUE}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _service() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "server", "namespace": NAMESPACE},
        "spec": {"selector": {"app": "server"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    }


def _servers() -> list[dict[str, Any]]:
    return [
        _deployment(
            f"server-{version}",
            NAMESPACE,
            {"app": "server", "version": version},
            {
                "name": "server",
                "command": ["python", "-c", (HERE / "echo.py").read_text()],
                "env": [
                    {"name": "VERSION", "value": version},
                    {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
                "ports": [{"name": "http", "containerPort": 8080}],
                "readinessProbe": {"httpGet": {"path": "/seen/ready", "port": 8080}, "periodSeconds": 1},
            },
            replicas,
        )
        for version, replicas in REPLICAS.items()
    ]


def _clients() -> list[dict[str, Any]]:
    return [
        _deployment(
            name,
            namespace,
            {"app": name, "version": "v1"} | ({"sidecar.istio.io/inject": "false"} if name == "outside" else {}),
            {"name": "client"},
            annotations=COUNTERS if name == "client" else {},
        )
        for name, namespace in NAMESPACES.items()
    ]


def _deployment(
    name: str,
    namespace: str,
    labels: Mapping[str, str],
    container: Mapping[str, Any],
    replicas: int = 1,
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    full = {"image": CLIENT_IMAGE, "imagePullPolicy": "IfNotPresent", **container}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": labels["app"], "version": labels["version"]}},
            "template": {
                "metadata": {"labels": dict(labels), "annotations": dict(annotations or {})},
                "spec": {"terminationGracePeriodSeconds": 1, "containers": [full]},
            },
        },
    }
