"""Calls to the next service, with the caller's headers handed on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from fleet.headers import Forward, propagated

COPIED = ("service", "version", "pod", "received")


@dataclass(frozen=True)
class Answer:
    """What a service answered: `status` is 0 when there was no answer at all, `error` says why then."""

    service: str
    status: int
    body: dict[str, Any]
    error: str = ""

    @property
    def ok(self) -> bool:
        """A 2xx that is not what the service itself would say (Envoy's words, say) is no good answer."""
        return 200 <= self.status < 300 and not self.error

    def hop(self) -> dict[str, Any]:
        """This call as an entry of ``upstreams``: who answered, with what, and whom it had asked in turn."""
        hop: dict[str, Any] = {"service": self.service} | {k: self.body[k] for k in COPIED if k in self.body}
        hop["status"] = self.status
        if self.error:
            hop["error"] = self.error
        if self.body.get("upstreams"):
            hop["upstreams"] = self.body["upstreams"]
        return hop


class Upstream:
    """One service that this one calls. Plain HTTP: the sidecars make it mutual TLS, the application need not know."""

    def __init__(
        self,
        service: str,
        url: str,
        timeout: float = 10,
        transport: httpx.AsyncBaseTransport | None = None,
        forward: Forward = propagated,
    ) -> None:
        self.service = service
        self._forward = forward
        # No certificates to load and no proxy settings to read: both cost memory in every pod, for nothing.
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=timeout,
            verify=False,  # noqa: S501
            trust_env=False,
            transport=transport,
        )

    async def get(self, path: str, headers: Mapping[str, str]) -> Answer:
        """GET `path`; a failure is an `Answer` too, never an exception."""
        try:
            response = await self._client.get(path, headers=self._forward(headers))
        except httpx.HTTPError as error:
            return Answer(self.service, 0, {}, f"{type(error).__name__}: {error}".removesuffix(": "))
        return self._answer(response)

    def _answer(self, response: httpx.Response) -> Answer:
        try:
            body = response.json()
        except ValueError:
            body = None
        if isinstance(body, dict):
            return Answer(self.service, response.status_code, body, body.get("error", ""))
        # Envoy's own answers (503 no healthy upstream, 403 RBAC: access denied) are plain text.
        return Answer(self.service, response.status_code, {}, response.text[:200] or response.reason_phrase)

    async def close(self) -> None:
        await self._client.aclose()
