"""The mesh's root certificate in the cluster: the CA's secret, and a config map in every namespace."""

from __future__ import annotations

import asyncio
import logging

from meshdojo.cluster.client import Client, Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.informer import Change, Informers
from meshdojo.cluster.workqueue import WorkQueue
from meshdojo.istio.ca import ROOT_CONFIG_MAP, SECRET, CertificateAuthority

log = logging.getLogger("ca")
_LABELS = {"istio.io/config": "true"}


async def authority(client: Client, namespace: str, trust_domain: str = "cluster.local") -> CertificateAuthority:
    """The CA whose root is in the cluster; a new one, stored there, when there is none.

    Raises ValueError for a secret that cannot be used, ClusterError.
    """
    try:
        return CertificateAuthority.from_secret(await client.get("secrets", SECRET, namespace), trust_domain)
    except StatusError as error:
        if error.code != 404:
            raise
    made = CertificateAuthority.create(trust_domain)
    try:
        await client.create("secrets", made.to_secret(namespace), namespace)
    except StatusError as error:
        if error.code != 409:  # another istiod was faster
            raise
        return CertificateAuthority.from_secret(await client.get("secrets", SECRET, namespace), trust_domain)
    log.info("No CA secret found, generated a self-signed root in %s/%s", namespace, SECRET)
    return made


class RootPublisher:
    """Keeps config map ``istio-ca-root-cert`` right in every namespace."""

    def __init__(self, client: Client, informers: Informers, root: bytes) -> None:
        self._client = client
        self._root = root.decode()
        self._queue: WorkQueue[str] = WorkQueue("root certificate", self._reconcile)
        self._namespaces = informers.of("namespaces")
        self._maps = informers.of("configmaps", labels="istio.io/config=true")
        self._namespaces.subscribe(self._namespace)
        self._maps.subscribe(self._map)

    def start(self) -> None:
        """Begin to write the root certificate into every namespace."""
        self._queue.start()

    async def stop(self) -> None:
        """Write no more; what was written stays."""
        await self._queue.stop()

    async def idle(self) -> None:
        """Wait until every namespace has been seen to."""
        await asyncio.wait_for(self._queue.idle(), None)

    def _namespace(self, change: Change, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self._queue.add(new["metadata"]["name"])

    def _map(self, change: Change, old: Object | None, new: Object | None) -> None:
        obj = new or old or {}
        if obj["metadata"]["name"] == ROOT_CONFIG_MAP and change != "ADDED":
            self._queue.add(obj["metadata"]["namespace"])

    async def _reconcile(self, namespace: str) -> None:
        found = self._namespaces.get(None, namespace)
        if found is None or (found.get("status") or {}).get("phase") == "Terminating":
            return
        present = self._maps.get(namespace, ROOT_CONFIG_MAP)
        data = {"root-cert.pem": self._root}
        if present is not None and present.get("data") == data:
            return
        try:
            await self._write(namespace, data)
        except StatusError as error:
            if error.code not in (403, 404):  # the namespace is going
                raise

    async def _write(self, namespace: str, data: dict[str, str]) -> None:
        metadata = {"name": ROOT_CONFIG_MAP, "namespace": namespace, "labels": _LABELS}
        obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        try:
            await self._client.create("configmaps", obj, namespace)
        except StatusError as error:
            if error.code != 409:
                raise
            await self._client.patch("configmaps", ROOT_CONFIG_MAP, {"data": data}, namespace)
