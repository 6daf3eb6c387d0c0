"""Any cluster that a context of your kubeconfig reaches. It is yours: only what carries our label is ever deleted."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

from meshdojo.backends.base import BackendError, BackendMissing, BadChoice, Progress, Status
from meshdojo.backends.commands import run
from meshdojo.backends.reached import ReachedCluster
from meshdojo.cluster.kubeconfig import current_context
from meshdojo.course.content import content_root
from meshdojo.course.images import load_images
from meshdojo.embedded import directories
from meshdojo.embedded.environment import DEFAULT_NAME

# Which context; without it the current one of the kubeconfig.
CONTEXT_VARIABLE = "MESHDOJO_CONTEXT"
IMAGES_VARIABLE = "MESHDOJO_IMAGES_ARE_THERE"
_ANSWER_SECONDS = 30.0


class ContextBackend(ReachedCluster):
    """The cluster of a context; `instance` is the context's name, or ``default`` for the one that is chosen elsewhere.

    `start` copies the context into a kubeconfig of ours, and changes nothing in the cluster; `stop` deletes that copy.
    """

    name = "context"
    owned = False

    def __init__(self, instance: str = DEFAULT_NAME) -> None:
        self.context = os.environ.get(CONTEXT_VARIABLE, "") if instance == DEFAULT_NAME else instance
        title = f"the cluster of context {self.context!r}" if self.context else "the cluster of the current context"
        super().__init__(_copy_of(self.context), title, instance)

    @property
    def confirmation(self) -> str:
        """What somebody types before anything is reset: the context's name as the copy knows it."""
        return self.context or _current(self.kubeconfig)

    async def start(self, progress: Progress, *, tied: bool = False) -> bool:
        progress(f"reaching {self.title}")
        await self._copy()
        try:
            async with asyncio.timeout(_ANSWER_SECONDS), self.client() as client:
                await client.version()
        except TimeoutError:
            raise BackendError(f"{self.title} does not answer within {_ANSWER_SECONDS:g} s") from None
        except OSError as error:
            raise BackendError(f"{self.title} cannot be reached: {error}") from error
        return False

    async def _copy(self) -> None:
        chosen = ("--context", self.context) if self.context else ()
        try:
            text = await run("kubectl", "config", "view", "--minify", "--flatten", "--raw", *chosen)
        except BackendMissing:
            raise
        except BackendError as error:
            known = (await run("kubectl", "config", "get-contexts", "--output", "name")).split()
            if self.context in known or not (self.context or "current-context" in str(error)):
                raise
            wanted = f"the context {self.context!r}" if self.context else "a current context"
            there = f"There are: {', '.join(known)}" if known else "It has none at all"
            raise BadChoice(
                f"your kubeconfig does not have {wanted}. {there}. Choose one with --name CONTEXT."
            ) from error
        directories.private(self.kubeconfig.parent)
        temporary = self.kubeconfig.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        temporary.replace(self.kubeconfig)

    async def stop(self) -> None:
        self.kubeconfig.unlink(missing_ok=True)

    async def status(self) -> Status:
        if not self.kubeconfig.exists():
            words = "not in use; 'meshdojo up --backend context' reaches it"
            return Status(running=False, ready=False, detail=f"{self.title}: {words}")
        return await self.answered()

    async def ensure_images(self, progress: Progress) -> None:
        """See that the nodes have our images: nothing can be loaded into a cluster of somebody else's."""
        if os.environ.get(IMAGES_VARIABLE):
            return
        found = load_images(content_root() / "apps")
        wanted = {f"{image.name}:{found.tag}": image.target for image in found.images}
        missing = sorted(set(wanted) - await self.present_images())
        if missing:
            build = f"docker build --target {wanted[missing[0]]} --tag {missing[0]} {content_root() / 'apps'}"
            raise BackendMissing(
                f"the nodes of {self.title} do not list these images: {', '.join(missing)}. Build them (such as: "
                f"{build}) and load them into the nodes, as your cluster's tool does it. Set {IMAGES_VARIABLE}=1 where "
                "they are there although the nodes do not list them."
            )


def _current(kubeconfig: Path) -> str:
    return current_context(kubeconfig) if kubeconfig.exists() else ""


def _copy_of(context: str) -> Path:
    """Where the copy of this context is, or will be: one for each context of each kubeconfig.

    In a lab shell KUBECONFIG is such a copy already, and commands typed there mean it.
    """
    root, variable = directories.state_root(), os.environ.get("KUBECONFIG", "")
    if Path(variable).parent.parent == root and Path(variable).parent.name.startswith("context-"):
        return Path(variable)
    digest = hashlib.sha256(f"{context}\n{variable}".encode()).hexdigest()[:12]
    return root / f"context-{digest}" / "kubeconfig"
