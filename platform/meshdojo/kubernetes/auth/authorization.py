"""Whether a user may do what they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from meshdojo.kubernetes.requests import User


@dataclass(frozen=True)
class Access:
    """What is asked for: a verb on a resource, or on a path that is none (`path`)."""

    user: User
    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


@dataclass(frozen=True)
class Decision:
    """Allowed or not, and why."""

    allowed: bool
    reason: str = ""


class Authorizer(Protocol):
    """Decides about every request that comes over HTTP."""

    def authorize(self, access: Access) -> Decision:
        """Whether the access is allowed, and why (not)."""
        ...
