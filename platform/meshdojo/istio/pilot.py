"""The program of image ``pilot``: istiod.

    python -m meshdojo.istio.pilot discovery …

A plain client of the Kubernetes API, with its pod's service account: informers -> snapshot -> ADS on
``$MESHDOJO_RUN/xds/REVISION.sock``; webhooks on 15017; ``/ready`` on 8080; debug and metrics on 15014.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshdojo.cluster.client import Client, Object
from meshdojo.cluster.errors import ClusterError
from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.informer import Informers
from meshdojo.istio import roots
from meshdojo.istio.agent import xds_socket
from meshdojo.istio.debug import DebugServer
from meshdojo.istio.discovery import Discovery
from meshdojo.istio.injection import webhook as injection
from meshdojo.istio.injection.config import BadConfig, InjectionConfig
from meshdojo.istio.models.base import NotParsed
from meshdojo.istio.models.proxy_config import ProxyConfig
from meshdojo.istio.refusals import RefusalEvents
from meshdojo.istio.version import VERSION
from meshdojo.istio.webhooks import CABundles, WebhookServer

log = logging.getLogger("pilot")
PROXY_CONFIGS = ProxyConfig.TYPE.resource


class BadEnvironment(Exception):
    """The arguments or the environment do not describe istiod's pod; the message names what and the remedy."""


@dataclass(frozen=True)
class Settings:
    """What istiod is told by its Deployment."""

    run: Path
    address: str
    namespace: str = "istio-system"
    revision: str = "default"

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """Raises BadEnvironment."""
        run, address = environment.get("MESHDOJO_RUN"), environment.get("MESHDOJO_POD_IP")
        if not run or not address:
            missing = "MESHDOJO_POD_IP" if run else "MESHDOJO_RUN"
            raise BadEnvironment(f"the environment variable {missing} is not set; istiod runs in an embedded cluster")
        namespace = environment.get("POD_NAMESPACE", "istio-system")
        return cls(Path(run), address, namespace, environment.get("REVISION") or "default")

    def named(self, name: str) -> str:
        """The name of an object that belongs to this revision: ``istiod``, ``istiod-canary``."""
        return name if self.revision == "default" else f"{name}-{self.revision}"


class Pilot:
    """istiod: everything it runs, in the order in which it starts. Use it as an async context manager."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._informers = Informers(client)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Pilot:
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        settings, informers = self._settings, self._informers
        authority = await roots.authority(self._client, settings.namespace)
        refusals = RefusalEvents(self._client)
        discovery = Discovery(informers, authority, settings.namespace, settings.named("istio"), refusals)
        service = settings.named("istiod")
        bundles = CABundles(self._client, informers, service, settings.namespace, authority.root)
        publisher = roots.RootPublisher(self._client, informers, authority.root)
        informers.of(PROXY_CONFIGS, optional=True)
        debug = DebugServer(settings.address, discovery)
        names = [f"{service}.{settings.namespace}.svc", f"{service}.{settings.namespace}", service]
        webhooks = WebhookServer(settings.address, authority.serving(names), self._inject, _validate)
        stack.push_async_callback(informers.stop)
        await debug.start()
        stack.push_async_callback(debug.stop)
        await webhooks.start()
        stack.push_async_callback(webhooks.stop)
        await informers.start()
        discovery.start()
        stack.push_async_callback(discovery.stop)
        await discovery.server.start(xds_socket(settings.run, settings.revision))
        stack.push_async_callback(discovery.server.stop)
        bundles.start()
        stack.push_async_callback(bundles.stop)
        publisher.start()
        stack.push_async_callback(publisher.stop)
        # A pod that is created the moment we are ready is to be injected.
        await bundles.idle()
        debug.ready = True

    def _inject(self, review: dict[str, Any]) -> dict[str, Any]:
        maps = self._informers.of("configmaps", self._settings.namespace)
        namespace, named = self._settings.namespace, self._settings.named
        injector = _data(maps.get(namespace, named("istio-sidecar-injector")))
        mesh = _data(maps.get(namespace, named("istio"))).get("mesh", "")
        try:
            config = InjectionConfig.load(injector, mesh, self._settings.revision)
        except BadConfig as error:
            return refusal(review, str(error))
        return injection.review(review, config, self._proxy_configs())

    def _proxy_configs(self) -> list[ProxyConfig]:
        found = []
        for obj in self._informers.of(PROXY_CONFIGS, optional=True).items():
            try:
                found.append(ProxyConfig.parse(obj))
            except NotParsed as error:
                log.warning("ProxyConfig is ignored: %s", error)
        return found


def _validate(review: dict[str, Any]) -> dict[str, Any]:
    # Imported when the first object of Istio's comes: istiod is ready the sooner.
    from meshdojo.istio.validation import webhook

    return webhook.review(review)


def refusal(review: Mapping[str, Any], message: str) -> dict[str, Any]:
    """The answer to an AdmissionReview that says no."""
    uid = (review.get("request") or {}).get("uid", "")
    response = {"uid": uid, "allowed": False, "status": {"message": message}}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def _data(config_map: Object | None) -> dict[str, str]:
    return (config_map or {}).get("data") or {}


class _Format(logging.Formatter):
    """``2026-11-21T06:20:46.102937Z	info	ads	message``, as istiod writes it."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fraction = int(record.created % 1 * 1e6)
        level = {"WARNING": "warn", "CRITICAL": "fatal"}.get(record.levelname, record.levelname.lower())
        scope = "" if record.name in ("pilot", "root") else f"{record.name.rpartition('.')[2]}\t"
        text = f"{stamp}.{fraction:06d}Z\t{level}\t{scope}{record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def _log_to_stdout() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Format())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("aiohttp").setLevel(logging.WARNING)


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    started = time.monotonic()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with HTTPClient.in_cluster() as client, Pilot(client, settings):
        log.info(
            "istiod %s, revision %s, is ready after %.2f s", VERSION, settings.revision, time.monotonic() - started
        )
        await stop.wait()
        log.info("Istiod shutdown: signal received")


def main(argv: Sequence[str] | None = None) -> int:
    """Run as the program of a container."""
    argv = list(sys.argv[1:] if argv is None else argv)
    _log_to_stdout()
    try:
        if argv[:1] != ["discovery"]:
            raise BadEnvironment(f"arguments {' '.join(argv)!r}: the only command is 'discovery'")
        asyncio.run(run(Settings.read(os.environ)))
    except (BadEnvironment, ClusterError, ValueError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
