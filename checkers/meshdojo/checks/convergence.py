"""Waiting until every proxy runs by what the API server holds now.

Istio has no way to ask "has this resource arrived?" (`istioctl x wait` and the tracking behind it are gone), so three
things are established, in this order, from what istiod tells about itself:

1. *istiod has read the resources.* Its ``/debug/configz`` lists what its watches have delivered; each of Istio's
   resources that the API server holds must be there in the same resourceVersion or a later one, and no other. The
   ready pods of each service must be the endpoints that ``/debug/endpointShardz`` lists for it, and the nodes must have
   followed them, too (`kubeproxy`): a caller outside the mesh is led by them.
2. *nothing is waiting to be translated.* istiod collects changes until none has come for PILOT_DEBOUNCE_AFTER (100 ms
   unless its environment says otherwise), then takes one snapshot of all it has read and pushes. So the count of
   changes (the metric ``pilot_inbound_updates``) must stand still for longer than that, and longer still where istiod
   takes its time to answer: on a busy machine its timers and pushes are as late as its answers.
   The embedded mesh's istiod has no such pause and says for each proxy outright whether it works with the present
   snapshot (``synced``): then nothing has to stand still.
3. *the proxies have said yes.* For every proxy and type of resource ``/debug/syncz`` gives the last version sent and
   the last one acknowledged: the two must be the same. A proxy that refused a version is reported with its words.

All of this is asked of the namespaces that meshdojo made, and of istio-system, whose gateways and mesh-wide objects
concern everybody. What others have on a shared cluster is not waited for: a proxy that is broken there is theirs, and
an istiod that looks at some namespaces only (``discoverySelectors``) never reads the rest.

Source: pilot/pkg/xds/discovery.go (debounce) and debug.go of Istio 1.31; tried on kind. The debug pages are served to
istiod's own loopback only, so they are asked for through a port-forward where the API server's pod proxy is turned away
(ten times as fast as an exec of ``pilot-discovery request``); the metrics are open.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from meshdojo.checks import endpoints
from meshdojo.checks.kubeproxy import Nodes
from meshdojo.checks.outcome import CannotJudge
from meshdojo.checks.pods import is_ready
from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError, Unreachable
from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.managed import MANAGED_LABEL, MANAGED_VALUE

NAMESPACE, PORT = "istio-system", 15014
DEBOUNCE_SECONDS = 0.1
# How often istiod is asked: at once again where it is quick, less often the longer it takes, as each time costs it CPU.
POLL_SECONDS, PATIENCE, LONGEST_POLL_SECONDS = 0.02, 1.5, 0.2
LATENESS, LATEST_SECONDS = 2, 2.0
PATIENT_SECONDS = 90.0  # for who sets labs up and proves them, with nobody waiting for an answer
KINDS = (
    "virtualservices.networking.istio.io",
    "destinationrules.networking.istio.io",
    "gateways.networking.istio.io",
    "serviceentries.networking.istio.io",
    "sidecars.networking.istio.io",
    "peerauthentications.security.istio.io",
    "requestauthentications.security.istio.io",
    "authorizationpolicies.security.istio.io",
    "telemetries.telemetry.istio.io",
)
_NO_ISTIO = "'meshdojo reset LAB' sets the lab up again, Istio included."
_UPDATES = re.compile(r"^pilot_inbound_updates\{[^}]*\} (\S+)$", re.MULTILINE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Proxy:
    """What istiod knows of one proxy.

    `pending` has the types whose last version is not acknowledged; `synced` is istiod's own word on whether the proxy
    works with the present snapshot (None: it gives none).
    """

    name: str
    pending: tuple[str, ...]
    errors: tuple[str, ...]
    synced: bool | None = None


class Convergence:
    """Waits for the proxies of one cluster."""

    def __init__(self, client: HTTPClient) -> None:
        self._client = client
        self._nodes = Nodes(client)
        self._forwarded = False
        self._kinds: frozenset[str] = frozenset()
        self._namespaces: frozenset[str] = frozenset()

    async def wait(self, seconds: float = 20.0) -> None:
        """Return once every proxy has acknowledged all there is.

        Raises CannotJudge when Istio is not there, when it takes longer than `seconds`, or (with the proxy's words)
        when a proxy refuses what istiod sent.
        """
        istiod = await self._istiod()
        stage = _Stage()
        try:
            async with asyncio.timeout(seconds):
                await self._read(istiod, stage)
                await self._settled(istiod, stage)
        except TimeoutError:
            raise CannotJudge(f"the mesh did not settle within {seconds:g} s: {stage.text}", "Try again.") from None

    async def debug(self, page: str) -> bytes:
        """A debug page of istiod as it is, such as ``syncz``. Raises CannotJudge."""
        return await self._debug(await self._istiod(), page)

    async def _istiod(self) -> Object:
        found = await self._client.list("pods", NAMESPACE, labels="app=istiod")
        for pod in found.items:
            if is_ready(pod):
                return pod
        reason = "istiod is not ready" if found.items else "Istio is not installed: there is no istiod"
        raise CannotJudge(reason, _NO_ISTIO)

    async def _read(self, istiod: Object, stage: _Stage) -> None:
        """Step 1."""
        self._kinds = self._kinds or frozenset(kind["kind"] for kind in await self._page(istiod, "resourcesz"))
        for pause in _pauses():
            await self._look_at_namespaces()
            wanted, read = await self._wanted(), versions(self._ours(await self._page(istiod, "configz")))
            behind: list[tuple[str, ...]] = [*not_read(wanted, read), *await self._endpoints_behind(istiod)]
            if behind:
                stage.text = f"istiod has not read {', '.join('/'.join(key) for key in behind)}"
            elif late := await self._nodes.behind():
                stage.text = f"{', '.join(late)} has not written the rules for Services"
            else:
                return
            await asyncio.sleep(pause)

    async def _settled(self, istiod: Object, stage: _Stage) -> None:
        """Steps 2 and 3."""
        quiet = _Quiet(1.5 * debounce_seconds(istiod))
        for pause in _pauses():
            proxies = await self._proxies(istiod)
            told = all(proxy.synced is not None for proxy in proxies)
            if not told and not await quiet.long_enough(self._updates(istiod)):
                stage.text = "istiod is still receiving changes"
                await asyncio.sleep(max(POLL_SECONDS, quiet.left))
                continue
            if not told:  # what was asked before the quiet time had passed does not count
                proxies = await self._proxies(istiod)
            pending = [proxy for proxy in proxies if proxy.pending or proxy.synced is False]
            if not pending:
                return
            stage.text = f"{pending[0].name} has not acknowledged {', '.join(pending[0].pending) or 'the latest'}"
            await asyncio.sleep(pause)

    async def _proxies(self, istiod: Object) -> list[Proxy]:
        """Those of pods that are there to stay: one that is going (or gone, its stream still open) answers no more."""
        staying = {
            f"{pod['metadata']['name']}.{pod['metadata']['namespace']}"
            for pod in self._ours((await self._client.list("pods")).items)
            if "deletionTimestamp" not in pod["metadata"]
        }
        proxies = [proxy for proxy in parse_syncz(await self._page(istiod, "syncz")) if proxy.name in staying]
        refused = [error for proxy in proxies for error in proxy.errors]
        if refused:
            raise CannotJudge(f"a proxy refused its configuration: {refused[0]}", "Look at what you applied last.")
        return proxies

    async def _wanted(self) -> Mapping[Key, str]:
        lists = await asyncio.gather(*(self._list(kind) for kind in KINDS))
        return versions([obj for obj in self._ours(chain(*lists)) if obj["kind"] in self._kinds])

    async def _endpoints_behind(self, istiod: Object) -> list[endpoints.Key]:
        """The services whose ready pods istiod does not know, or whose former pods it still knows."""
        services, pods, slices = await asyncio.gather(
            *(self._client.list(kind) for kind in ("services", "pods", "endpointslices.discovery.k8s.io"))
        )
        shards = await self._page(istiod, "endpointShardz")
        return endpoints.behind(self._ours(services.items), pods.items, slices.items, shards)

    async def _look_at_namespaces(self) -> None:
        listed = await self._client.list("namespaces", labels=f"{MANAGED_LABEL}={MANAGED_VALUE}")
        self._namespaces = frozenset((NAMESPACE, *(one["metadata"]["name"] for one in listed.items)))

    def _ours(self, objects: Iterable[Object]) -> list[Object]:
        """Those of the namespaces that are waited for."""
        return [obj for obj in objects if obj["metadata"].get("namespace", "") in self._namespaces]

    async def _list(self, kind: str) -> list[Object]:
        try:
            return (await self._client.list(kind)).items
        except StatusError as error:
            if error.code != 404:
                raise
            return []  # an older Istio without this kind, or none at all

    async def _updates(self, istiod: Object) -> float:
        """How many changes istiod has received since it started."""
        text = (await self._client.raw("GET", f"{_proxy_path(istiod)}/metrics")).decode()
        return sum(float(number) for number in _UPDATES.findall(text))

    async def _page(self, istiod: Object, page: str) -> Any:
        return json.loads(await self._debug(istiod, page))

    async def _debug(self, istiod: Object, page: str) -> bytes:
        if not self._forwarded:
            try:
                return await self._client.raw("GET", f"{_proxy_path(istiod)}/debug/{page}")
            except StatusError as error:
                if error.code not in (401, 403):
                    raise
                self._forwarded = True
        try:
            return await self._client.pod_get(NAMESPACE, istiod["metadata"]["name"], PORT, f"/debug/{page}")
        except (StatusError, Unreachable) as error:
            raise CannotJudge(f"istiod does not answer /debug/{page}: {error}", "Look at istiod's log.") from error


def _pauses() -> Iterator[float]:
    """Seconds between looks, without end."""
    pause = POLL_SECONDS
    while True:
        yield pause
        pause = min(PATIENCE * pause, LONGEST_POLL_SECONDS)


class _Quiet:
    """Whether a count has stood still for `seconds`: half as long again as istiod itself waits, so that its own timer
    has fired; and for LATENESS times what the slowest answer took (at most LATEST_SECONDS, or nothing would ever be
    quiet enough), so that it has fired on a busy machine, too."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._slowest = 0.0
        self._count: float | None = None
        self._since = 0.0

    async def long_enough(self, asked: Awaitable[float]) -> bool:
        """`asked`: the count, being asked for."""
        start = time.monotonic()
        count = await asked
        self._slowest = max(self._slowest, time.monotonic() - start)
        if count != self._count:
            self._count, self._since = count, time.monotonic()
        return self.left <= 0

    @property
    def left(self) -> float:
        """The seconds that are left if nothing changes."""
        return self._since + self._seconds + min(LATENESS * self._slowest, LATEST_SECONDS) - time.monotonic()


@dataclass
class _Stage:
    """How far a wait has come, for the message when it takes too long."""

    text: str = "istiod does not answer"


def _proxy_path(istiod: Object) -> str:
    return f"/api/v1/namespaces/{NAMESPACE}/pods/{istiod['metadata']['name']}:{PORT}/proxy"


def versions(objects: list[Object]) -> dict[Key, str]:
    """Kind, namespace and name of Istio's objects, with resourceVersion; those that istiod makes up have none."""
    return {
        (obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): version
        for obj in objects
        if (version := obj["metadata"].get("resourceVersion")) and ".istio.io/" in obj["apiVersion"]
    }


def not_read(wanted: Mapping[Key, str], read: Mapping[Key, str]) -> list[Key]:
    """The objects that istiod has in an older version, not yet, or (deleted since) still."""
    kinds = {key[0] for key in wanted} | {"VirtualService", "DestinationRule", "Gateway"}
    behind = [key for key, version in wanted.items() if not _at_least(read.get(key, ""), version)]
    return behind + [key for key in read if key not in wanted and key[0] in kinds]


def _at_least(version: str, wanted: str) -> bool:
    if version.isdigit() and wanted.isdigit():
        return int(version) >= int(wanted)
    return version == wanted


def parse_syncz(proxies: list[dict[str, Any]]) -> list[Proxy]:
    """The answer of ``/debug/syncz``, proxy by proxy."""
    return [_proxy(entry) for entry in proxies]


def _proxy(entry: dict[str, Any]) -> Proxy:
    pending, errors = [], []
    for url, state in entry.get("resources", {}).items():
        kind = url.rsplit(".", 1)[-1]
        if error := state.get("lastError") or state.get("error"):
            errors.append(f"{entry['proxy']}: {kind}: {error}")
        elif state.get("sent") and state.get("sent") != state.get("acked"):
            pending.append(kind)
    return Proxy(entry["proxy"], tuple(pending), tuple(errors), entry.get("synced"))


def debounce_seconds(istiod: Object) -> float:
    """How long istiod waits for a pause in the changes: PILOT_DEBOUNCE_AFTER of its container, or Istio's default."""
    for container in istiod["spec"]["containers"]:
        for variable in container.get("env", ()):
            if variable["name"] == "PILOT_DEBOUNCE_AFTER":
                parts = _DURATION.findall(variable.get("value", ""))
                return sum(float(number) * _UNITS[unit] for number, unit in parts)
    return DEBOUNCE_SECONDS
