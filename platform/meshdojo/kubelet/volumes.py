"""Volumes of a pod as directories, and the mounts of its containers as links.

``pods/UID/volumes/NAME`` holds a volume; ``pods/UID/containers/NAME/root`` is what a container sees as its root, with
a link at each mountPath. Config maps, secrets, the downward API and tokens are written as the kubelet does: into a new
directory, swapped in by renaming the link ``..data``, so that a reader never sees a mixture.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from meshdojo.cluster.client import Client, Object
from meshdojo.cluster.errors import StatusError
from meshdojo.kubelet.env import ConfigError, Fetch, contents, expand, field_value, resource_value
from meshdojo.kubernetes.claims import CLAIMS, VOLUMES

_DATA = "..data"
_DEFAULT_MODE = 0o644
_TOKEN_SECONDS = 3600
_PAYLOADS = ("configMap", "secret", "downwardAPI", "projected")


class MountError(Exception):
    """A volume cannot be made. The text is the kubelet's."""


class Volumes:
    """The volumes of one pod below `directory`."""

    def __init__(self, directory: Path, client: Client, fetch: Fetch) -> None:
        self._directory = directory
        self._client = client
        self._fetch = fetch
        self.refresh_at: float | None = None  # Unix time when a token is to be renewed

    def path(self, name: str) -> Path:
        """Where a volume's files are."""
        return self._directory / name

    async def make(self, pod: Object, facts: Mapping[str, str]) -> None:
        """Make all volumes, or bring them up to date. Raises `MountError`."""
        self.refresh_at = None
        for volume in pod["spec"].get("volumes") or ():
            try:
                await self._make(pod, volume, facts)
            except (ConfigError, StatusError, OSError) as error:
                text = f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}'
                raise MountError(text) from error

    async def _make(self, pod: Object, volume: Object, facts: Mapping[str, str]) -> None:
        path = self.path(volume["name"])
        if "hostPath" in volume:
            _link(path, volume["hostPath"]["path"])
        elif "persistentVolumeClaim" in volume:
            _link(path, await self._persistent(pod["metadata"]["namespace"], volume["persistentVolumeClaim"]))
        elif any(kind in volume for kind in _PAYLOADS):
            kind = next(kind for kind in _PAYLOADS if kind in volume)
            source = volume[kind]
            sources = (source.get("sources") or ()) if kind == "projected" else ({_projected_name(kind): source},)
            mode = source.get("defaultMode") or _DEFAULT_MODE
            payload: dict[str, tuple[bytes, int]] = {}
            for one in sources:
                payload.update(await self._payload(pod, one, mode, facts))
            _write(path, payload)
        elif "emptyDir" in volume or set(volume) == {"name"}:
            path.mkdir(parents=True, exist_ok=True)
        else:
            kind = next(key for key in volume if key != "name")
            raise ConfigError(
                f"volumes of type {kind} do not exist in this cluster; use emptyDir, configMap, secret, downwardAPI, "
                "projected, hostPath or persistentVolumeClaim"
            )

    async def _persistent(self, namespace: str, source: Object) -> str:
        """The directory of the volume that a claim is bound to. The scheduler has waited until it was."""
        claim = await self._fetch(CLAIMS, namespace, source["claimName"])
        name = claim["spec"].get("volumeName") if claim else None
        volume = await self._fetch(VOLUMES, "", name) if name else None
        if volume is None:
            raise ConfigError(f'persistentvolumeclaim "{source["claimName"]}" is not bound')
        found = volume["spec"].get("hostPath") or volume["spec"].get("local")
        if not found:
            words = f'persistentvolume "{name}" is of a type that does not exist in this cluster; use hostPath'
            raise ConfigError(words)
        await asyncio.to_thread(Path(found["path"]).mkdir, parents=True, exist_ok=True)
        return str(found["path"])

    async def _payload(
        self, pod: Object, source: Object, mode: int, facts: Mapping[str, str]
    ) -> dict[str, tuple[bytes, int]]:
        if "configMap" in source:
            return await self._keys(pod, source["configMap"], "configmaps", mode)
        if "secret" in source:
            return await self._keys(pod, source["secret"], "secrets", mode)
        if "downwardAPI" in source:
            return _downward(pod, source["downwardAPI"], mode, facts)
        if "serviceAccountToken" in source:
            return await self._token(pod, source["serviceAccountToken"])
        kind = next(iter(source), "nothing")
        raise ConfigError(f"projected volumes from {kind} do not exist in this cluster")

    async def _keys(self, pod: Object, source: Object, resource: str, mode: int) -> dict[str, tuple[bytes, int]]:
        namespace, name = pod["metadata"]["namespace"], source.get("name") or source.get("secretName")
        obj = await self._fetch(resource, namespace, str(name))
        if obj is None:
            if source.get("optional"):
                return {}
            raise ConfigError(f'{resource[:-1]} "{name}" not found')
        data = contents(obj)
        items = source.get("items")
        if not items:
            return {key: (value, mode) for key, value in data.items()}
        found = {}
        for item in items:
            if item["key"] not in data:
                if source.get("optional"):
                    continue
                raise ConfigError(f"{resource[:-1]} references non-existent config key: {item['key']}")
            found[item["path"]] = (data[item["key"]], item.get("mode") or mode)
        return found

    async def _token(self, pod: Object, source: Object) -> dict[str, tuple[bytes, int]]:
        seconds = source.get("expirationSeconds") or _TOKEN_SECONDS
        audience = source.get("audience")
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": seconds,
                "boundObjectRef": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": pod["metadata"]["name"],
                    "uid": pod["metadata"]["uid"],
                },
            },
        }
        answer = await self._client.create(
            "serviceaccounts",
            request,
            pod["metadata"]["namespace"],
            subresource="token",
            name=pod["spec"].get("serviceAccountName") or "default",
        )
        self._renew_before(answer["status"])
        return {source["path"]: (answer["status"]["token"].encode(), 0o600)}

    def _renew_before(self, status: Object) -> None:
        """Tokens are renewed at 80 % of their life, as the kubelet does."""
        expires = datetime.fromisoformat(status["expirationTimestamp"].replace("Z", "+00:00")).timestamp()
        renewal = time.time() + (expires - time.time()) * 0.8
        self.refresh_at = renewal if self.refresh_at is None else min(self.refresh_at, renewal)


def refers_to(pod: Object, resource: str, name: str) -> bool:
    """Whether a volume of `pod` is made from this config map or secret."""
    field = {"configmaps": "configMap", "secrets": "secret"}[resource]
    for volume in pod["spec"].get("volumes") or ():
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            reference = source.get(field)
            if reference is not None and name in (reference.get("name"), reference.get("secretName")):
                return True
    return False


def mount(root: Path, container: Object, volumes: Volumes, variables: Mapping[str, str]) -> list[str]:
    """Make the mounts of a container in its root directory; the mountPaths. Raises `MountError`."""
    mounted = []
    for entry in sorted(container.get("volumeMounts") or (), key=lambda entry: str(entry["mountPath"])):
        source = volumes.path(entry["name"])
        sub_path = expand(entry["subPathExpr"], variables) if entry.get("subPathExpr") else entry.get("subPath")
        if sub_path:
            source = source / sub_path
            if not source.exists():
                source.mkdir(parents=True)
        path = "/" + entry["mountPath"].strip("/")
        target = root / path[1:]
        _mount_one(root, target, source)
        mounted.append(path)
        if path.startswith("/var/run/"):  # a link to /run on most systems: programs arrive by either name
            _mount_one(root, root / path[5:], source)
            mounted.append(path[4:])
    return mounted


def _mount_one(root: Path, target: Path, source: Path) -> None:
    parent = target.parent
    if not parent.resolve().is_relative_to(root.resolve()):
        # A mount inside another mount: the outer one is a link. What it shows there belongs to the outer volume.
        parent.mkdir(parents=True, exist_ok=True)
    parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    _link(target, str(source))


def _link(path: Path, target: str) -> None:
    if path.is_symlink() and os.readlink(path) == target:
        return
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def _projected_name(kind: str) -> str:
    return kind


def _downward(pod: Object, source: Object, mode: int, facts: Mapping[str, str]) -> dict[str, tuple[bytes, int]]:
    found = {}
    for item in source.get("items") or ():
        if "fieldRef" in item:
            value = field_value(pod, item["fieldRef"]["fieldPath"], facts)
        else:
            value = resource_value(pod, pod["spec"]["containers"][0], item["resourceFieldRef"])
        found[item["path"]] = (value.encode(), item.get("mode") or mode)
    return found


def _write(directory: Path, payload: Mapping[str, tuple[bytes, int]]) -> None:
    """Swap in `payload` (path -> content and mode), and remove what is no longer part of it."""
    directory.mkdir(parents=True, exist_ok=True)
    if _current(directory) == {path: content for path, (content, _) in payload.items()}:
        return
    fresh = directory / f"..{time.strftime('%Y_%m_%d_%H_%M_%S')}.{secrets.token_hex(4)}"
    fresh.mkdir(mode=0o755)
    for path, (content, mode) in payload.items():
        file = fresh / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(mode)
    data = directory / _DATA
    old = directory / os.readlink(data) if data.is_symlink() else None
    temporary = directory / "..data_tmp"
    temporary.symlink_to(fresh.name)
    temporary.replace(data)
    tops = {path.split("/")[0] for path in payload}
    for entry in list(directory.iterdir()):
        if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in tops:
            entry.unlink()
    for top in tops:
        if not (directory / top).is_symlink():
            (directory / top).symlink_to(f"{_DATA}/{top}")
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def _current(directory: Path) -> dict[str, Any] | None:
    data = directory / _DATA
    if not data.exists():
        return None
    return {str(file.relative_to(data)): file.read_bytes() for file in data.rglob("*") if file.is_file()}
