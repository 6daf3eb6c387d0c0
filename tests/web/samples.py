"""A small course and a judge that is told what to say, so that the site can be tested without a cluster."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Container, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from meshdojo.observation.load import Wish
from meshdojo.observation.trace import Request as TraceRequest
from meshdojo.web.app import create_app
from meshdojo.web.live import Checking, Judged, MeshStatus, Update
from meshdojo.web.local.shells import LocalShells
from meshdojo.web.manifests import Applied, Difference, ManifestError
from meshdojo.web.progress import Verdict
from meshdojo.web.server import Server, listen
from meshdojo.web.settings import Settings

TOKEN = "a-token-for-tests-only"

LAB = """\
---
title: Split the traffic
description: Send a tenth of all requests to a new version, and take it back at any time.
weight: 10
time: 25
difficulty: beginner
objectives:
  - tell a *subset* from a Deployment
  - split traffic by weight with a `VirtualService`
needs: [istio, fleet]
---
# Split the traffic

A new version is ready. Nobody knows how it behaves under real requests, and [nobody wants](javascript:alert(1)) to
find out with all of them. <script>alert(1)</script>

## Why weights

A Deployment's **replica count** is not a weight: with ten pods, one of them new, the new one gets a tenth *only* as
long as nobody scales. See [the next lab](../20-next/lab.md).

```mermaid
flowchart LR
  customer([customer]) --> gateway[ingress gateway] -->|90 %| v1[web original]
  gateway -->|10 %| v2[web experimental]
```

| kind | says |
|---|---|
| VirtualService | where requests go |
| DestinationRule | what the subsets are |

## Task: Bring it in dark

<!-- task: dark
checks: [split.dark]
-->

Name the two versions as subsets. All requests still go to the old one.

```yaml
apiVersion: networking.istio.io/v1
kind: DestinationRule # the subsets
metadata:
  name: web
spec:
  host: web
  subsets:
    - name: original
      labels: {version: "original"}
```

```bash
kubectl apply -f - <<EOF
kind: DestinationRule
EOF
```

```output
destinationrule.networking.istio.io/web created
```

<details><summary>Hint 1: a nudge</summary>

Which label tells the two Deployments apart?

</details>

<details><summary>Hint 2: a direction</summary>

A `DestinationRule` for host `web`.

</details>

<details><summary>Hint 3: the answer</summary>

```yaml
kind: DestinationRule
```

</details>

<details><summary>Why this works</summary>

Subsets only *name* groups of pods.

</details>

## Task: A tenth

<!-- task: tenth
checks: [split.tenth, split.steady]
-->

Send ten percent to `experimental`:

1. write the weights
2. ask for it:

   ```bash exit=22
   curl -sf http://web/
   ```

<details><summary>Hint 1: a nudge</summary>

Weights.

</details>

<details><summary>Hint 2: a direction</summary>

They add up to 100.

</details>

<details><summary>Hint 3: the answer</summary>

90 and 10.

</details>

<details><summary>Why this works</summary>

Envoy draws for each request.

</details>

## In production

<details><summary>What about sessions?</summary>

Weights know none.

</details>

## Quiz

### Which of these change how many requests reach the new version?

1. the number of its pods
2. the weight of its route
3. the name of its subset

<details><summary>Answer</summary>

**2.** A route's weight counts requests, not pods.

</details>

### What does a VirtualService need?

1. hosts
2. a route
3. a Deployment

<details><summary>Answer</summary>

**1 and 2.** It never mentions pods.

</details>
"""

NEXT_LAB = (
    LAB.replace("title: Split the traffic", "title: The next lab")
    .replace("# Split the traffic", "# The next lab")
    .replace("weight: 10", "weight: 20")
    .replace("split.", "next.")
)


GLOSSARY = """\
# Glossary

## demo

A *demonstration*.

## replica

<!-- also: replica count, replicas -->

A copy of a pod.
"""


def write_course(root: Path) -> Path:
    """Two labs, 10-split and 20-next, below `root`/labs; returns `root`."""
    for folder, text in (("10-split", LAB), ("20-next", NEXT_LAB)):
        path = root / "labs" / folder
        path.mkdir(parents=True)
        (path / "lab.md").write_text(text)
    (root / "labs" / "glossary.md").write_text(GLOSSARY)
    return root


FAILED = Verdict(
    "fail",
    "The new version gets no requests.",
    "0 of 400 requests reached web-experimental",
    "about 40 of 400 (10 %)",
    "Are the weights in the VirtualService?",
    0.4,
)
PASSED = Verdict("pass", saw="41 of 400 requests reached web-experimental (10.3 %)", seconds=0.4)
BROKEN = Verdict("error", "the cluster does not answer", hint="Is it running? 'meshdojo status' tells.")


class FakeJudge:
    """A `Judge` that says what `say` is given, to whoever watches, and counts who does."""

    def __init__(self) -> None:
        self.mesh = MeshStatus("embedded", "ready", "process 4711", "v1.34.1", "1.31.0")
        self.watching: dict[str, asyncio.Queue[Update]] = {}
        # What is said of a lab without being asked.
        self.script: dict[str, list[Update]] = {}
        self.rechecks = 0
        self.started = asyncio.Event()
        self.left = asyncio.Event()
        self.rechecked = asyncio.Event()
        self.closed = False

    async def status(self) -> MeshStatus:
        return self.mesh

    async def watch(self, lab: str, recheck: asyncio.Event, passed: Container[str]) -> AsyncGenerator[Update, None]:
        queue = self.watching[lab] = asyncio.Queue()
        self.started.set()
        for update in self.script.get(lab, ()):
            queue.put_nowait(update)
        try:
            while True:
                yield await self._next(queue, recheck)
        finally:
            del self.watching[lab]
            self.left.set()

    async def _next(self, queue: asyncio.Queue[Update], recheck: asyncio.Event) -> Update:
        get, asked = asyncio.create_task(queue.get()), asyncio.create_task(recheck.wait())
        try:
            while True:
                await asyncio.wait((get, asked), return_when=asyncio.FIRST_COMPLETED)
                if asked.done():
                    recheck.clear()
                    self.rechecks += 1
                    self.rechecked.set()
                    asked = asyncio.create_task(recheck.wait())
                if get.done():
                    return get.result()
        finally:
            get.cancel()
            asked.cancel()

    def say(self, lab: str, *updates: Update) -> None:
        """Hand updates to the watcher of `lab`."""
        for update in updates:
            self.watching[lab].put_nowait(update)

    async def close(self) -> None:
        self.closed = True


async def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for what another program does and tells nobody."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


def judged(task: str, verdict: Verdict) -> tuple[Update, Update]:
    """What a judge says about a task, from first look to verdict."""
    return Checking(task), Judged(task, verdict)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Visitor:
    """A client of the app in process, and the token it needs to send forms."""

    http: httpx.AsyncClient
    csrf: str = ""

    async def post(self, path: str, fragment: bool = True, **form: str | list[str]) -> httpx.Response:
        headers = {"X-Fragment": "1"} if fragment else {}
        return await self.http.post(path, data={"csrf": self.csrf, **form}, headers=headers)


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[Visitor]:
    """The app between startup and shutdown, with a visitor who has not entered."""
    settings: Settings = app.state.site.settings
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=settings.url) as http:
        yield Visitor(http)


@asynccontextmanager
async def entered(app: FastAPI) -> AsyncIterator[Visitor]:
    """The same, with a visitor who opened the printed address."""
    async with running(app) as visitor:
        answer = await visitor.http.get("/", params={"token": TOKEN}, follow_redirects=True)
        visitor.csrf = answer.text.split('name="csrf-token" content="', 1)[1].split('"', 1)[0]
        yield visitor


def lab_shells(settings: Settings) -> LocalShells:
    """Real shells, of an owner without habits, in an environment that says where it is."""
    home = settings.state_directory / "home"
    home.mkdir(parents=True, exist_ok=True)

    async def environment() -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(home), "GATEWAY_URL": "127.64.0.1:31380", "LANG": "C.UTF-8"}

    return LocalShells(settings.state_directory, environment, "meshdojo up --detach")


OPENAPI = {
    "components": {
        "schemas": {
            "route.v1": {
                "type": "object",
                "description": "Where requests go.",
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"$ref": "#/components/schemas/meta"},
                    "spec": {
                        "type": "object",
                        "properties": {
                            "hosts": {"type": "array", "items": {"type": "string"}, "description": "Who is meant."},
                            "http": {"type": "array", "items": {"$ref": "#/components/schemas/http"}},
                        },
                    },
                },
                "x-kubernetes-group-version-kind": [{"group": "net.test", "version": "v1", "kind": "Route"}],
            },
            "http": {
                "type": "object",
                "properties": {
                    "weight": {"type": "integer", "description": "The share, in per cent."},
                    "mode": {"type": "string", "enum": ["FAST", "SLOW"], "description": "How."},
                    "retry": {"type": "boolean"},
                },
            },
            "meta": {"type": "object", "properties": {"name": {"type": "string"}, "namespace": {"type": "string"}}},
            "unrelated": {"type": "object"},
        }
    }
}


class FakeManifests:
    """A cluster for the editor: one kind, one object, and a server that refuses a weight above 100."""

    def __init__(self) -> None:
        self.applied: list[str] = []

    async def apply(self, document: str) -> Applied:
        answer = await self.check(document)
        if answer.ok:
            self.applied.append(document)
        return answer

    async def check(self, document: str) -> Applied:
        if "weight: 101" in document:
            return Applied(False, "", 'The Route "web" is invalid: spec.http[0].weight: Invalid value: 101: too much')
        return Applied(True, "route.net.test/web configured", "")

    async def difference(self, document: str) -> Difference:
        return Difference(await self.read("Route", "", "web"), document.strip() + "\n", "")

    async def read(self, kind: str, namespace: str, name: str) -> str:
        return f"apiVersion: net.test/v1\nkind: {kind}\nmetadata:\n  name: {name}\nspec:\n  hosts: [old]\n"

    async def names(self, kinds: Sequence[str]) -> list[tuple[str, str, str]]:
        return [("Route", "fleet", "web"), ("Deployment", "kube-system", "hidden")]

    async def document(self, path: str) -> bytes:
        if path != "/openapi/v3/apis/net.test/v1":
            raise ManifestError("the server could not find the requested resource")
        return json.dumps(OPENAPI).encode()


class FakeMesh:
    """A mesh that looks as the test says: put pictures into `shown`."""

    def __init__(self) -> None:
        self.shown: dict[str, Any] = {
            "source": "the test",
            "nodes": [],
            "ways": [],
            "traffic": {"on": False, "problem": ""},
        }
        self.changed = asyncio.Event()
        self.wish: Wish | None = None
        self.traced: list[TraceRequest] = []

    async def pictures(self) -> AsyncIterator[dict[str, Any]]:
        while True:
            yield self.shown
            self.changed.clear()
            await self.changed.wait()

    def show(self, **parts: Any) -> None:
        """Change the picture."""
        self.shown = {**self.shown, **parts}
        self.changed.set()

    async def details(self, node: str) -> dict[str, Any]:
        pod = {"name": "web-1", "address": "10.0.0.2", "version": "original", "ready": True, "state": "Running"}
        return {
            "id": node,
            "name": node.rpartition("/")[2],
            "namespace": "fleet",
            "kind": "service",
            "pods": [{**pod, "sidecar": True, "restarts": 0, "labels": {}}],
            "config": [
                {
                    "apiVersion": "net.test/v1",
                    "kind": "Route",
                    "metadata": {"name": "web", "namespace": "fleet"},
                    "spec": {},
                }
            ],
            "log": [{"pod": "web-1", "line": "[now] GET / 200"}],
            "counters": [],
        }

    async def trace(self, request: TraceRequest) -> dict[str, Any]:
        self.traced.append(request)
        hop = {
            "node": "service/fleet/web",
            "proxy": "web-original",
            "pod": "fleet/web-1",
            "gateway": False,
            "direction": "inbound",
            "start": 0,
            "duration": 7.0,
            "service_time": 6.0,
            "method": "GET",
            "path": request.path,
            "code": 503,
            "flags": [{"flag": "UH", "means": "no healthy pod"}],
            "details": "no_healthy_upstream",
            "failure": "",
            "mtls": True,
            "to": "",
            "cluster": "inbound|8080||",
            "route": "default",
            "headers": [["x-request-id", "abc"]],
        }
        answer = {"status": 503, "headers": [["server", "istio-envoy"]], "body": "no healthy upstream", "seconds": 0.01}
        sent = {"method": request.method, "url": f"http://gateway{request.path}", "headers": []}
        return {"sent": sent, "answer": answer, "hops": [hop], "source": "the test"}

    async def traffic(self, wish: Wish | None) -> None:
        self.wish = wish
        self.show(traffic={"on": wish is not None, "problem": ""})

    async def close(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def served(
    settings: Settings,
    judge: FakeJudge,
    shells: LocalShells | None = None,
    mesh: FakeMesh | None = None,
    manifests: FakeManifests | None = None,
) -> AsyncIterator[httpx.AsyncClient]:
    """A server on its port, and a client that has entered."""
    ready = asyncio.Event()
    app = create_app(
        settings,
        judge=judge,
        shells=shells or lab_shells(settings),
        mesh_view=mesh or FakeMesh(),
        manifests=manifests or FakeManifests(),
    )
    server = Server(app, ready.set)
    listener = listen(settings.host, settings.port)
    task = asyncio.create_task(server.serve([listener]))
    async with httpx.AsyncClient(base_url=settings.url, timeout=60, follow_redirects=True) as client:
        try:
            await ready.wait()
            await client.get("/", params={"token": TOKEN})
            yield client
        finally:
            server.stop()
            async with asyncio.timeout(60):
                await task
            listener.close()
