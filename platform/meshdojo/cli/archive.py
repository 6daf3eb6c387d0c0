"""What ``meshdojo diagnose`` does: collects, hides what is secret, and packs."""

from __future__ import annotations

import json
import re
import tarfile
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from meshdojo.backends.base import Backend, Progress
from meshdojo.backends.embedded import EmbeddedBackend
from meshdojo.cli.doctor import examined
from meshdojo.cluster.errors import ClusterError
from meshdojo.cluster.http import HTTPClient
from meshdojo.cluster.managed import MANAGED_LABEL, MANAGED_VALUE
from meshdojo.embedded.errors import EmbeddedError
from meshdojo.errors import UserError
from meshdojo.istio import version as istio_version
from meshdojo.validation.diagnosis import snapshot

_LOG_BYTES = 1_000_000
_HIDDEN = "<hidden>"
_SECRETS = (
    re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),
    re.compile(r"(?<=Bearer )[^\s\"']+", re.IGNORECASE),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
)
# `name: DB_PASSWORD` and the value in the next line, as the environment of a container is written in YAML.
_VARIABLE = re.compile(r"(name: \S*(?:pass|secret|token|key|credential)\S*\n\s*value: )(.+)", re.IGNORECASE)


async def write_archive(backend: Backend, output: Path, progress: Progress) -> int:
    """Write the archive `output`; its size in bytes. What cannot be had is noted in it. Raises `UserError`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await _collect(backend, folder, progress)
        return _pack(folder, output, _tokens(backend))


def _pack(folder: Path, output: Path, known: list[str]) -> int:
    for file in folder.rglob("*"):
        if file.is_file():
            file.write_text(without_secrets(file.read_text(errors="replace"), known))
    try:
        with tarfile.open(output, "w:gz") as archive:
            archive.add(folder, "meshdojo-diagnosis")
    except OSError as error:
        raise UserError(f"cannot write {output}: {error.strerror}. Choose another place with --output") from error
    return output.stat().st_size


async def _collect(backend: Backend, folder: Path, progress: Progress) -> None:
    progress("looking at the machine")
    findings = [asdict(finding) for finding in examined(backend.name)]
    (folder / "doctor.json").write_text(json.dumps(findings, indent=2))
    status = asdict(await backend.status())
    versions = {"claims Istio": istio_version.VERSION, "backend": backend.name, **status}
    (folder / "status.json").write_text(json.dumps(versions, indent=2))
    if isinstance(backend, EmbeddedBackend) and backend.instance.log.exists():
        (folder / "cluster.log").write_bytes(backend.instance.log.read_bytes()[-_LOG_BYTES:])
    if not status["ready"]:
        return
    progress("reading the cluster")
    try:
        async with HTTPClient.from_kubeconfig(backend.kubeconfig) as client:
            await snapshot(client, folder / "cluster", await _namespaces(client, backend))
    except (ClusterError, OSError) as error:
        (folder / "cluster.txt").write_text(f"not to be had: {error}\n")


async def _namespaces(client: HTTPClient, backend: Backend) -> list[str]:
    """All on a cluster of ours; on one of the user's those that meshdojo made, and Istio's."""
    found = []
    for item in (await client.list("namespaces")).items:
        managed = (item["metadata"].get("labels") or {}).get(MANAGED_LABEL) == MANAGED_VALUE
        if backend.owned or managed or item["metadata"]["name"] == "istio-system":
            found.append(str(item["metadata"]["name"]))
    return found


def _tokens(backend: Backend) -> list[str]:
    if isinstance(backend, EmbeddedBackend) and backend.instance.exists():
        # Settings that cannot be read are what the archive is to explain; a token goes by its form then.
        with suppress(EmbeddedError):
            return [str(backend.instance.settings()["token"])]
    return []


def without_secrets(text: str, known: list[str]) -> str:
    """`text` without tokens, keys, and the values of variables that look like passwords."""
    for token in known:
        text = text.replace(token, _HIDDEN)
    for pattern in _SECRETS:
        text = pattern.sub(_HIDDEN, text)
    return _VARIABLE.sub(lambda match: match[1] + _HIDDEN, text)
