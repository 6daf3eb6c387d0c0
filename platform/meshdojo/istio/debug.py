"""istiod's plain HTTP: ``/ready`` on 8080; ``/debug/…``, ``/metrics``, ``/version`` on 15014 (and 8080, as in istiod).

/debug/syncz                                   what each proxy was sent and has acknowledged, and refusals
/debug/config_distribution?resource=KIND/NS/NAME   which version of an object each proxy works with
/debug/resourcesz                              the kinds of Istio's objects that are read
/debug/configz                                 those that are there, in the versions of the present snapshot
/debug/endpointShardz                          the endpoints of each service in the present snapshot
/debug/config_dump?proxyID=POD.NAMESPACE       everything that the proxy has been given
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import psutil
from aiohttp import web

from meshdojo.istio import resource
from meshdojo.istio.ads import PUSH_ORDER, Stream, Subscription, short
from meshdojo.istio.configs import KINDS
from meshdojo.istio.discovery import Discovery
from meshdojo.istio.service import Endpoint
from meshdojo.istio.snapshot import Snapshot
from meshdojo.istio.translation.translator import Translation
from meshdojo.istio.version import VERSION

READY_PORT, MONITORING_PORT = 8080, 15014
CLUSTER = "Kubernetes/Kubernetes"
# The names of the types in syncz, as istiod gives them.
_NAMES = {
    resource.CDS: "cluster",
    resource.LDS: "listener",
    resource.RDS: "route",
    resource.EDS: "endpoint",
}


class DebugServer:
    """Serves both ports. `ready` is asked at each request."""

    def __init__(self, address: str, discovery: Discovery) -> None:
        self.ready = False
        self._address = address
        self._discovery = discovery
        application = web.Application()
        application.router.add_get("/ready", self._ready)
        application.router.add_get("/debug/syncz", self._syncz)
        application.router.add_get("/debug/resourcesz", self._resources)
        application.router.add_get("/debug/configz", self._configs)
        application.router.add_get("/debug/endpointShardz", self._endpoints)
        application.router.add_get("/debug/config_distribution", self._distribution)
        application.router.add_get("/debug/config_dump", self._config_dump)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/version", self._version)
        self._runner = web.AppRunner(application, access_log=None)

    async def start(self) -> None:
        """Listen on the readiness and the monitoring port. Raises OSError for one that is taken."""
        await self._runner.setup()
        for port in (READY_PORT, MONITORING_PORT):
            await web.TCPSite(self._runner, self._address, port).start()

    async def stop(self) -> None:
        """Close both ports and all connections."""
        await self._runner.cleanup()

    async def _ready(self, request: web.Request) -> web.Response:
        return web.Response(status=200 if self.ready else 503)

    async def _syncz(self, request: web.Request) -> web.Response:
        return web.json_response([sync_status(one) for one in self._streams()])

    async def _resources(self, request: web.Request) -> web.Response:
        return web.json_response([{"group": kind.TYPE.group, "kind": kind.TYPE.kind} for kind in KINDS])

    async def _configs(self, request: web.Request) -> web.Response:
        return web.json_response(configs(self._discovery.snapshot))

    async def _endpoints(self, request: web.Request) -> web.Response:
        return web.json_response(endpoint_shards(self._discovery.snapshot))

    async def _distribution(self, request: web.Request) -> web.Response:
        ref = request.query.get("resource", "")
        if ref.count("/") != 2:
            return web.Response(status=422, text="give ?resource=Kind/namespace/name")
        return web.json_response([distribution(one, ref) for one in self._streams()])

    async def _config_dump(self, request: web.Request) -> web.Response:
        wanted = request.query.get("proxyID", "")
        found = next((one for one in self._streams() if one.proxy.id == wanted), None)
        if found is None:
            return web.Response(
                status=404, text=f"proxy {wanted!r} is not connected to this istiod; give ?proxyID=POD.NS"
            )
        return web.json_response(config_dump(found))

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(text=metrics(self._discovery), content_type="text/plain")

    async def _version(self, request: web.Request) -> web.Response:
        # Source: BuildInfo.String in istio.io/istio/pkg/version.
        return web.Response(text=f"{VERSION}-meshdojo-Clean")

    def _streams(self) -> list[Stream]:
        return sorted(self._discovery.server.streams.values(), key=lambda one: one.proxy.id)


def sync_status(stream: Stream) -> dict[str, Any]:
    """One proxy's entry: istiod's fields, and for each type its state and the reason of a refusal."""
    proxy = stream.proxy
    found: dict[str, Any] = {
        "cluster_id": proxy.cluster,
        "proxy": proxy.id,
        "proxy_type": proxy.role,
        "istio_version": str(proxy.metadata.get("ISTIO_VERSION", VERSION)),
    }
    for type_url, name in _NAMES.items():
        subscription = stream.subscriptions.get(type_url)
        if subscription is not None:
            found[f"{name}_sent"] = subscription.sent_nonce
            found[f"{name}_acked"] = subscription.acked_nonce
    found["resources"] = {type_url: _entry(one) for type_url, one in stream.subscriptions.items()}
    found["synced"] = stream.synced
    return found


def _entry(subscription: Subscription) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": short(subscription.type_url),
        "sent": subscription.sent_nonce,
        "acked": subscription.acked_nonce,
        "state": subscription.state,
        "count": len(subscription.sent),
    }
    if short(subscription.type_url) == "SDS" and not any("://" in name for name in subscription.sent):
        found["workload"] = True  # certificates of the workload itself, none that a Gateway names
    return found | ({"error": subscription.refusal} if subscription.refusal else {})


def configs(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Kind, name, namespace and resourceVersion of each of Istio's objects, in the shape of Istio's page."""
    versions = {kind.TYPE.kind: f"{kind.TYPE.group}/{kind.TYPE.storage}" for kind in KINDS}
    found = []
    for ref, version in snapshot.versions.items():
        kind, namespace, name = ref.split("/")
        metadata = {"namespace": namespace, "name": name, "resourceVersion": version}
        found.append({"apiVersion": versions[kind], "kind": kind, "metadata": metadata})
    return found


def endpoint_shards(snapshot: Snapshot) -> dict[str, Any]:
    """By host and namespace, the addresses behind each service, in the shape of Istio's page."""
    return {
        host: {service.namespace: {"Shards": {CLUSTER: [_shard(one) for one in snapshot.endpoints_of(host).items]}}}
        for host, service in snapshot.services.by_host.items()
    }


def _shard(endpoint: Endpoint) -> dict[str, Any]:
    return {"Addresses": [endpoint.address], "Labels": dict(endpoint.labels), "HealthStatus": 1}


def distribution(stream: Stream, ref: str) -> dict[str, Any]:
    """The resourceVersion of an Istio object in the configuration that the proxy has acknowledged ('' for none)."""
    acked = stream.acked
    version = acked.snapshot.version_of(ref) if isinstance(acked, Translation) else ""
    return {"proxy": stream.proxy.id, "acked": version, "synced": stream.synced}


def config_dump(stream: Stream) -> dict[str, Any]:
    """What a proxy has of each type, by name and version."""
    return {
        "proxy": stream.proxy.id,
        "configs": {
            short(type_url): dict(sorted(stream.subscriptions[type_url].sent.items()))
            for type_url in PUSH_ORDER
            if type_url in stream.subscriptions
        },
    }


def metrics(discovery: Discovery) -> str:
    """The few of istiod's metrics that there is something to say about, in Prometheus' text format."""
    process = psutil.Process()
    cpu = process.cpu_times()
    streams = discovery.server.streams.values()
    refused = Counter(one.type_url for stream in streams for one in stream.subscriptions.values() if one.refusal)
    snapshot = discovery.snapshot
    lines = [
        f'istio_build{{component="pilot",tag="{VERSION}"}} 1',
        f'pilot_xds{{version="{VERSION}"}} {len(streams)}',
        f"pilot_services {len(snapshot.services.by_host)}",
        f"pilot_virt_services {len(snapshot.virtual_services.items)}",
        f"process_cpu_seconds_total {cpu.user + cpu.system:.2f}",
        f"process_resident_memory_bytes {process.memory_info().rss}",
        *(f'pilot_xds_refused{{type="{short(kind)}"}} {number}' for kind, number in refused.items()),
    ]
    return "\n".join(lines) + "\n"
