"""From a backend's name to the backend."""

from __future__ import annotations

from meshdojo.backends.base import BACKENDS, Backend, BadChoice
from meshdojo.backends.context import ContextBackend
from meshdojo.backends.embedded import EmbeddedBackend
from meshdojo.backends.kind import KindBackend
from meshdojo.backends.minikube import MinikubeBackend
from meshdojo.embedded.environment import DEFAULT_NAME


def open_backend(name: str, instance: str = DEFAULT_NAME) -> Backend:
    """The backend called `name`; `instance` tells several environments (or kind clusters) apart.

    Raises `BadChoice` for an unknown name.
    """
    if name == "embedded":
        return EmbeddedBackend(instance)
    if name == "kind":
        return KindBackend(instance)
    if name == "minikube":
        return MinikubeBackend(instance)
    if name == "context":
        return ContextBackend(instance)
    raise BadChoice(f"unknown backend {name!r}; there are: {', '.join(BACKENDS)}")
