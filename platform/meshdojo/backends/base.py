"""The contract between meshdojo and the place where a mesh runs.

Small on purpose, as JupyterHub's Spawner is: whatever runs Kubernetes can be a backend.

    BackendError              the text is for the user: what failed, the command and its output, the remedy
    ├── BackendMissing        a program or permission that the backend needs is not there
    ├── BackendNotRunning     asked for something that only a running backend has
    └── BadChoice             there is no such backend, or it cannot have that name
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from meshdojo.errors import UsageError, UserError

BACKENDS = ("embedded", "kind", "minikube", "context")
"""The names of all backends (`select.open_backend`). Here, where nothing is imported that takes time."""

Progress = Callable[[str], None]


class BackendError(UserError):
    """Something in or about the backend failed; never the learner's fault."""


class BackendMissing(BackendError):
    """A program or permission that the backend needs is missing; the text names the remedy."""


class BackendNotRunning(BackendError):
    """The backend is not running."""


class BadChoice(BackendError, UsageError):
    """There is no such backend, environment or context, or it is not the one that was named to go on."""


@dataclass(frozen=True)
class Status:
    """What `Backend.status` found.

    `running`: the cluster exists and was started. `ready`: its API answers. `kubernetes` and `istio` are versions
    ('' when unknown or not installed). `detail` is one line for people.
    """

    running: bool
    ready: bool
    kubernetes: str = ""
    istio: str = ""
    detail: str = ""


class Backend(Protocol):
    """A place where a mesh runs. All methods may be called at any time, in any order, and repeatedly."""

    name: str

    @property
    def owned(self) -> bool:
        """Whether the cluster is ours alone, made by meshdojo.

        Then what a learner did to Istio's namespace is put back too. On any other cluster only what carries our label
        is ever deleted.
        """
        ...

    @property
    def confirmation(self) -> str:
        """What somebody types before anything is reset on a cluster that is not `owned`: its name."""
        ...

    @property
    def kubeconfig(self) -> Path:
        """The file that reaches the cluster. Its path is fixed; it exists after the first `start`."""
        ...

    async def start(self, progress: Progress, *, tied: bool = False) -> bool:
        """Bring the cluster up and return when its API answers; at once when it is up already.

        A cluster that a `tied` start brought up ends with this process, however that ends, where the backend can do so
        (the embedded one; kind's stays until `stop`).

        True when this call started it, False when it joined one that ran. `progress` gets a line for each step that
        takes time. Raises `BackendError`; a start that failed or was cancelled leaves something that the next `start`
        or `stop` can deal with.
        """
        ...

    async def stop(self) -> None:
        """Stop the cluster. No error when it is not running. The embedded backend keeps its state; kind's is gone."""
        ...

    async def status(self) -> Status:
        """Never raises, and answers within seconds, also when the backend is half up or its programs are missing."""
        ...

    async def ensure_istio(self, progress: Progress, profile: str = "demo") -> None:
        """See that Istio is there with `profile`, as this backend installs it, and ready.

        One that is something else by now (another profile or option, half of it removed) is taken away and installed
        anew; resources that apply to the whole mesh are deleted. On a cluster of the user's, whose Istio was there
        first, it is left as it is.
        """
        ...

    async def remove_istio(self, progress: Progress) -> None:
        """Take away Istio and all that an installation leaves (kinds, webhooks, roles); returns when it is gone.

        None there is fine, and so is one that is half removed. Raises `BackendError` on a cluster of the user's whose
        Istio was there first.
        """
        ...

    async def ensure_images(self, progress: Progress) -> None:
        """Make the images of meshdojo's apps available to the cluster's nodes."""
        ...

    async def reset(self, *namespaces: str) -> None:
        """Delete these namespaces and all that is in them; returns when they are gone. Absent ones are fine.

        Raises `BackendError` for a namespace that meshdojo did not make (no `MANAGED_LABEL`).
        """
        ...

    async def endpoint(self, gateway: str = "istio-ingressgateway") -> str:
        """``host:port`` at which this machine reaches the plain HTTP port of an Istio gateway in istio-system.

        Raises `BackendNotRunning` when the gateway's service is not there.
        """
        ...

    async def environment(self) -> Mapping[str, str]:
        """Variables of a lab shell: KUBECONFIG, PATH, MESHDOJO_BACKEND, MESHDOJO_NAME, GATEWAY_URL if there is one."""
        ...
