"""istiod's webhooks: the HTTPS server, and the CA that the API server must know to call it."""

from __future__ import annotations

import logging
import ssl
import tempfile
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from aiohttp import web

from meshdojo.cluster.client import Client, Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Change, Informer, Informers
from meshdojo.cluster.workqueue import WorkQueue
from meshdojo.istio.ca import KeyPair

log = logging.getLogger("webhooks")
PORT = 15017
MUTATING = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
VALIDATING = "validatingwebhookconfigurations.admissionregistration.k8s.io"
LARGEST_REVIEW = 8 * 1024 * 1024
Review = Callable[[dict[str, Any]], dict[str, Any]]


class WebhookServer:
    """Serves ``/inject`` and ``/validate`` over HTTPS on port 15017 of the pod."""

    def __init__(self, address: str, pair: KeyPair, inject: Review, validate: Review) -> None:
        self._address = address
        self._context = _context(pair)
        application = web.Application(client_max_size=LARGEST_REVIEW)
        application.router.add_post("/inject", _handler(inject))
        application.router.add_post("/validate", _handler(validate))
        self._runner = web.AppRunner(application, access_log=None)

    async def start(self) -> None:
        """Listen with TLS. Raises OSError when the port is taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, self._address, PORT, ssl_context=self._context).start()

    async def stop(self) -> None:
        """Close the port and all connections."""
        await self._runner.cleanup()


def _context(pair: KeyPair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:  # the ssl module only reads files
        file.write(pair.key + pair.chain)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _handler(review: Review) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.Response:
        try:
            body = await request.json()
        except ValueError:
            return web.Response(status=400, text="the body is not JSON; expected an AdmissionReview")
        if not isinstance(body, dict) or not isinstance(body.get("request"), dict):
            return web.Response(status=400, text="expected an AdmissionReview with a request")
        return web.json_response(review(body))

    return handle


class CABundles:
    """Writes the CA into the webhook configurations that call this istiod's service, and keeps it there.

    Validation is made mandatory (failurePolicy Fail) at the same time, as it can be answered from then on.
    """

    def __init__(self, client: Client, informers: Informers, service: str, namespace: str, ca: bytes) -> None:
        self._client = client
        self._service = (service, namespace)
        self._ca = b64encode(ca).decode()
        self._queue: WorkQueue[tuple[str, str]] = WorkQueue("webhook patcher", self._reconcile)
        self._informers: dict[str, Informer] = {one: informers.of(one) for one in (MUTATING, VALIDATING)}
        for resource, informer in self._informers.items():
            informer.subscribe(self._callback(resource))

    def start(self) -> None:
        """Begin; the server answers by now."""
        self._queue.start()

    async def stop(self) -> None:
        """Write no more into webhook configurations."""
        await self._queue.stop()

    async def idle(self) -> None:
        """Wait until all configurations have been seen to."""
        await self._queue.idle()

    def _callback(self, resource: str) -> Callable[[Change, Object | None, Object | None], None]:
        def changed(change: Change, old: Object | None, new: Object | None) -> None:
            if new is not None:
                self._queue.add((resource, new["metadata"]["name"]))

        return changed

    async def _reconcile(self, key: tuple[str, str]) -> None:
        resource, name = key
        configuration = self._informers[resource].get(None, name)
        if configuration is None:
            return
        operations = [
            operation
            for index, webhook in enumerate(configuration.get("webhooks") or ())
            for operation in self._operations(resource, index, webhook)
        ]
        if not operations:
            return
        try:
            await self._client.patch(resource, name, operations, type="json")
        except StatusError as error:
            if error.code != 404:
                raise
        log.info("Patching webhook %s", name)

    def _operations(self, resource: str, index: int, webhook: Object) -> list[dict[str, Any]]:
        config = webhook.get("clientConfig") or {}
        service = config.get("service") or {}
        if (service.get("name"), service.get("namespace")) != self._service:
            return []
        path = f"/webhooks/{index}"
        found = []
        if config.get("caBundle") != self._ca:
            found.append({"op": "add", "path": f"{path}/clientConfig/caBundle", "value": self._ca})
        if resource == VALIDATING and webhook.get("failurePolicy") != "Fail":
            found.append({"op": "replace", "path": f"{path}/failurePolicy", "value": "Fail"})
        return found
