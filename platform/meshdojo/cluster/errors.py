"""Errors of the Kubernetes API, as exceptions that carry the API's own Status object.

    ClusterError
    ├── StatusError       the API server answered with a failure Status (404, 409, 422, ...)
    ├── Unreachable       no answer: connection refused, TLS failure, timeout
    └── BadKubeconfig     a kubeconfig (or a pod's service account) that cannot be used; nothing was sent

Source: the Status type of ``meta/v1`` and the reasons of ``k8s.io/apimachinery/pkg/api/errors``.
"""

from __future__ import annotations

from typing import Any

from meshdojo.errors import UserError


class ClusterError(UserError):
    """Anything that went wrong between us and a cluster."""


class Unreachable(ClusterError):
    """The API server did not answer."""


class BadKubeconfig(ClusterError):
    """A kubeconfig that is missing, unreadable or incomplete; the message names the file, the field and the remedy."""


class StatusError(ClusterError):
    """A failure that the API server answered with.

    `code` is the HTTP status, `reason` the CamelCase reason ('' where the real server leaves it out), `details`
    the StatusDetails (name, group, kind, causes, retryAfterSeconds) or None.
    """

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> dict[str, Any]:
        """The Status object, as the API server sends it."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        body["code"] = self.code
        return body

    @classmethod
    def from_status(cls, body: dict[str, Any], code: int) -> StatusError:
        """Rebuild the error from a Status body that a server sent with HTTP status `code`."""
        return cls(int(body.get("code") or code), body.get("reason", ""), body.get("message", ""), body.get("details"))
