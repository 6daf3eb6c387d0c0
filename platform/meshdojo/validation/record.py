"""The record of a lab's start: kept in the cluster, so that it goes when the cluster goes.

One at a time, as labs share namespaces: that of the lab that was set up last. It lies beside the probe. A record that
is missing, damaged or of another version of meshdojo counts as none; the lab is then set up from nothing.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from meshdojo.checks.probe import NAMESPACES
from meshdojo.cluster.client import Object
from meshdojo.cluster.errors import StatusError
from meshdojo.cluster.http import HTTPClient
from meshdojo.validation.state import Key, Pod, State

FORMAT = 1
NAME, NAMESPACE = "lab-start", NAMESPACES["outside"]


@dataclass(frozen=True)
class Record:
    """How the lab with the name `lab` began: its state, and the digests of the manifests behind its objects."""

    lab: str
    state: State
    manifests: Mapping[Key, str]


async def read(client: HTTPClient) -> Record | None:
    """The record, if there is one that can be used. Raises ClusterError."""
    try:
        found = await client.get("configmaps", NAME, NAMESPACE)
    except StatusError as error:
        if error.code != 404:
            raise
        return None
    try:
        return _decoded(json.loads(gzip.decompress(base64.b64decode(found["binaryData"]["record"]))))
    except (KeyError, TypeError, ValueError, EOFError, OSError, binascii.Error):
        return None


async def write(client: HTTPClient, record: Record) -> None:
    """Keep `record` in the place of the one before."""
    packed = base64.b64encode(gzip.compress(json.dumps(_encoded(record)).encode(), mtime=0)).decode()
    manifest: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "annotations": {"meshdojo/lab": record.lab, "meshdojo/what": "the start of the lab; 'reset' returns to it"},
        },
        "binaryData": {"record": packed},
    }
    await client.apply(manifest)


async def forget(client: HTTPClient) -> None:
    """Delete the record, if there is one."""
    try:
        await client.delete("configmaps", NAME, NAMESPACE)
    except StatusError as error:
        if error.code != 404:
            raise


def _encoded(record: Record) -> dict[str, Any]:
    state = record.state
    return {
        "format": FORMAT,
        "lab": record.lab,
        "objects": [[*key, obj] for key, obj in state.objects.items()],
        "pods": [asdict(pod) for pod in state.pods],
        "replica_sets": sorted(state.replica_sets),
        "namespaces": dict(state.namespaces),
        "istiod": state.istiod,
        "manifests": [[*key, text] for key, text in record.manifests.items()],
    }


def _decoded(found: dict[str, Any]) -> Record:
    """Raises ValueError, KeyError or TypeError for what `_encoded` would not have made."""
    if found["format"] != FORMAT:
        raise ValueError(f"format {found['format']}")
    state = State(
        {Key(*key): obj for *key, obj in found["objects"]},
        tuple(Pod(**{**pod, "containers": tuple(pod["containers"])}) for pod in found["pods"]),
        frozenset(found["replica_sets"]),
        dict(found["namespaces"]),
        str(found["istiod"]),
    )
    return Record(str(found["lab"]), state, {Key(*key): text for *key, text in found["manifests"]})
