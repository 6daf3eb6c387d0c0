"""Who asks, and how: what accompanies a request beside the object itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from meshdojo.cluster.client import Propagation

FieldValidation = Literal["Strict", "Warn", "Ignore"]


@dataclass(frozen=True)
class User:
    """An authenticated user (authentication/v1 UserInfo)."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def info(self) -> dict[str, object]:
        """The UserInfo object."""
        info: dict[str, object] = {"username": self.name}
        if self.uid:
            info["uid"] = self.uid
        if self.groups:
            info["groups"] = list(self.groups)
        if self.extra:
            info["extra"] = {key: list(values) for key, values in self.extra}
        return info


# Who the kubeconfig of kubeadm is for.
ADMIN = User("kubernetes-admin", ("kubeadm:cluster-admins", "system:authenticated"))
ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
# What runs in the API server's own process: controllers, the kubelet.
SYSTEM = User("system:apiserver", ("system:masters", "system:authenticated"))


@dataclass(frozen=True)
class Options:
    """The options of a write (meta/v1 CreateOptions, UpdateOptions, PatchOptions).

    Without a `field_manager` nobody is recorded as the owner of what changes. `warnings` collects what the client must
    be told in Warning headers.
    """

    user: User = SYSTEM
    dry_run: bool = False
    field_validation: FieldValidation = "Strict"
    field_manager: str = ""
    force: bool = False
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class DeleteOptions:
    """How to delete (meta/v1 DeleteOptions). `grace_seconds` None: the object's own default."""

    propagation: Propagation | None = None
    grace_seconds: int | None = None
    uid: str | None = None
    resource_version: str | None = None
