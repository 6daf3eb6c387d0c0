"""kubectl, run for the editor in the lab's environment: what the editor does is what the terminal would do."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from meshdojo.web.local.shells import Environment
from meshdojo.web.manifests import Applied, Difference, ManifestError

SECONDS = 30.0
OUTPUT_LIMIT = 2_000_000
# What only the server writes; nobody edits it.
BOOK_KEEPING = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True)
class Ran:
    """How a kubectl ended, and what it printed."""

    code: int
    out: str
    err: str


class Kubectl:
    """Applies, compares and reads manifests."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    async def apply(self, document: str) -> Applied:
        """Apply one document; the text is kubectl's."""
        ran = await self._run(("apply", "-f", "-"), document)
        return Applied(ran.code == 0, ran.out.strip(), ran.err.strip())

    async def check(self, document: str) -> Applied:
        """What the server would say to it; nothing is changed."""
        ran = await self._run(("apply", "-f", "-", "--dry-run=server"), document)
        return Applied(ran.code == 0, ran.out.strip(), ran.err.strip())

    async def difference(self, document: str) -> Difference:
        """The object as it is, and as it would be."""
        now, then = await asyncio.gather(
            self._run(("get", "-f", "-", "-o", "yaml", "--ignore-not-found"), document),
            self._run(("apply", "-f", "-", "--dry-run=server", "-o", "yaml"), document),
        )
        return Difference(cleaned(now.out) if now.code == 0 else "", cleaned(then.out), then.err.strip())

    async def read(self, kind: str, namespace: str, name: str) -> str:
        """An object of the cluster as YAML, without the server's book-keeping. Raises ManifestError."""
        place = ("-n", namespace) if namespace else ()
        ran = await self._run(("get", kind, name, *place, "-o", "yaml"))
        if ran.code:
            raise ManifestError(ran.err.strip())
        return cleaned(ran.out)

    async def names(self, kinds: Sequence[str]) -> list[tuple[str, str, str]]:
        """(kind, namespace, name) of all objects of these kinds; kinds that the cluster does not have are left out."""
        found: list[tuple[str, str, str]] = []
        template = '{range .items[*]}{.kind}{"\\t"}{.metadata.namespace}{"\\t"}{.metadata.name}{"\\n"}{end}'
        rans = await asyncio.gather(*(self._run(("get", kind, "-A", "-o", f"jsonpath={template}")) for kind in kinds))
        for ran in rans:
            for line in ran.out.splitlines() if ran.code == 0 else ():
                kind, namespace, name = line.split("\t")
                found.append((kind, namespace, name))
        return found

    async def document(self, path: str) -> bytes:
        """A document of the API server, such as an OpenAPI one. Raises ManifestError."""
        ran = await self._run(("get", "--raw", path))
        if ran.code:
            raise ManifestError(ran.err.strip())
        return ran.out.encode()

    async def _run(self, arguments: Sequence[str], given: str = "") -> Ran:
        variables = dict(await self._environment())
        program = shutil.which("kubectl", path=variables.get("PATH"))
        if program is None:
            raise ManifestError("kubectl is not on the PATH: the editor needs it, as the terminal does.")
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            env=variables,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(SECONDS):
                out, err = await process.communicate(given.encode())
        except TimeoutError:
            raise ManifestError(f"kubectl had not ended after {SECONDS:g} s.") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Ran(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))


def cleaned(text: str) -> str:
    """An object's YAML without what only the server writes."""
    found = yaml.safe_load(text) if text.strip() else None
    if not isinstance(found, dict):
        return ""
    found.pop("status", None)
    metadata: dict[str, Any] = found.get("metadata") or {}
    for name in BOOK_KEEPING:
        metadata.pop(name, None)
    annotations = metadata.get("annotations") or {}
    annotations.pop(LAST_APPLIED, None)
    if not annotations:
        metadata.pop("annotations", None)
    return yaml.safe_dump(found, sort_keys=False, default_flow_style=False, allow_unicode=True)
