import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from meshdojo.checks.measurement import Measurement
from meshdojo.cluster.client import ObjectList, WatchEvent
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.streams import ExecResult


@pytest.fixture
def anyio_backend() -> Any:
    return "asyncio"


CREATED = "2026-01-02T00:00:00Z"


class FakeCluster:
    """Stands for an `HTTPClient`: objects by resource, and functions that answer exec, raw and pod_get."""

    def __init__(self) -> None:
        self.objects: dict[str, list[Any]] = {}
        self.execs: list[Any] = []
        self.raws: list[str] = []
        self.deleted: list[Any] = []
        self.applied: list[Any] = []
        self.unknown: set[str] = set()
        self.on_exec: Callable[..., ExecResult] = lambda namespace, pod, command: ExecResult(0, b"", b"")
        self.on_raw: Callable[[str], bytes] = lambda path: b""
        self.on_pod_get: Callable[[str, str, int, str], bytes] = lambda namespace, pod, port, path: b""
        self.on_watch: Callable[[str], object] = lambda resource: None

    def add(self, resource: Any, *objects: Any) -> None:
        self.objects.setdefault(resource, []).extend(objects)

    async def get(self, resource: Any, name: Any, namespace: Any = None, **_: Any) -> Any:
        for obj in self.objects.get(resource, []):
            if obj["metadata"]["name"] == name and obj["metadata"].get("namespace") == namespace:
                return obj
        raise StatusError(404, "NotFound", f'{resource} "{name}" not found', {"name": name})

    async def list(self, resource: Any, namespace: Any = None, *, labels: Any = "", fields: Any = "") -> Any:
        if resource in self.unknown:
            raise StatusError(404, "NotFound", "the server could not find the requested resource")
        wanted = dict(pair.split("=") for pair in labels.split(",") if pair)
        found = [
            obj
            for obj in self.objects.get(resource, [])
            if namespace in (None, obj["metadata"].get("namespace"))
            and wanted.items() <= obj["metadata"].get("labels", {}).items()
        ]
        return ObjectList(found, "1")

    async def watch(self, resource: Any, namespace: Any = None, **_: Any) -> Any:
        self.on_watch(resource)
        yield WatchEvent("MODIFIED", {})

    async def apply(self, manifests: Any, **_: Any) -> None:
        self.applied += manifests

    async def delete(self, resource: Any, name: Any, namespace: Any = None, **_: Any) -> None:
        self.deleted.append((resource, namespace, name))
        self.objects[resource] = [obj for obj in self.objects[resource] if obj["metadata"]["name"] != name]

    async def exec(self, namespace: Any, pod: Any, command: Any, container: Any = None, **_: Any) -> Any:
        self.execs.append((namespace, pod, list(command), container))
        return self.on_exec(namespace, pod, list(command))

    async def raw(self, method: Any, path: Any, **_: Any) -> Any:
        self.raws.append(path)
        return self.on_raw(path)

    async def pod_get(self, namespace: Any, pod: Any, port: Any, path: Any, **_: Any) -> Any:
        return self.on_pod_get(namespace, pod, port, path)


@pytest.fixture
def cluster() -> Any:
    return FakeCluster()


def make_pod(
    name: Any,
    namespace: Any = "fleet",
    *,
    ready: Any = True,
    sidecar: Any = True,
    ip: Any = "10.0.0.1",
    created: Any = CREATED,
    **labels: Any,
) -> Any:
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "creationTimestamp": created},
        "spec": {
            "initContainers": [{"name": "istio-proxy"}] if sidecar else [],
            "containers": [{"name": "main"}],
        },
        "status": {"conditions": [condition], "podIP": ip},
    }


@pytest.fixture
def pod() -> Any:
    return make_pod


def make_measurement(
    counts: Any,
    statuses: Any = None,
    errors: Any = None,
    examples: Any = None,
    latency: Any = None,
    sessions: Any = None,
) -> Any:
    statuses = Counter({"200": sum(counts.values())} if statuses is None else statuses)
    errors = Counter(errors or {})
    requests = statuses.total() + errors.total()
    return Measurement(
        requests, Counter(counts), statuses, errors, examples or {}, 0.1, latency or {}, Counter(sessions or {})
    )


@pytest.fixture
def measurement() -> Any:
    return make_measurement


def probe_output(**counts: Any) -> Any:
    total = sum(counts.values())
    body = {
        "requests": total,
        "answered": total,
        "statuses": {"200": total},
        "counts": counts,
        "errors": {},
        "examples": {},
        "latency": {},
        "seconds": 0.1,
    }
    return json.dumps(body).encode()


@pytest.fixture
def output() -> Any:
    return probe_output
