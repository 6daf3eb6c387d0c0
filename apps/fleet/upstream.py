"""Calls to the next service, with the caller's headers handed on."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

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


Exchange = Callable[[str, Mapping[str, str]], Awaitable[tuple[int, str]]]
"""GET a path with these headers: status and text of the answer. Raises OSError, TimeoutError, aiohttp.ClientError."""


class Upstream:
    """One service that this one calls. Plain HTTP: the sidecars make it mutual TLS, the application need not know.

    `timeout` is in seconds, for the whole exchange. `exchange` (None: HTTP) takes its place in tests.
    """

    def __init__(
        self,
        service: str,
        url: str,
        timeout: float = 10,
        exchange: Exchange | None = None,
        forward: Forward = propagated,
    ) -> None:
        self.service = service
        self._url = url
        self._timeout = timeout
        self._forward = forward
        self._exchange = exchange or self._http
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str, headers: Mapping[str, str]) -> Answer:
        """GET `path`; a failure is an `Answer` too, never an exception."""
        try:
            status, text = await self._exchange(path, self._forward(headers))
        except TimeoutError:
            return Answer(self.service, 0, {}, f"no answer within {self._timeout:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return Answer(self.service, 0, {}, _reason(error))
        return self._answer(status, text)

    async def _http(self, path: str, headers: Mapping[str, str]) -> tuple[int, str]:
        if self._session is None:
            # Addresses are asked for at each new connection: a Service may have been made anew meanwhile.
            self._session = aiohttp.ClientSession(
                self._url,
                connector=aiohttp.TCPConnector(use_dns_cache=False),
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        async with self._session.get(path, headers=headers, allow_redirects=False) as response:
            return response.status, await response.text(errors="replace")

    def _answer(self, status: int, text: str) -> Answer:
        try:
            body = json.loads(text)
        except ValueError:
            body = None
        if isinstance(body, dict):
            return Answer(self.service, status, body, body.get("error", ""))
        # Envoy's own answers (503 no healthy upstream, 403 RBAC: access denied) are plain text.
        return Answer(self.service, status, {}, text[:200] or f"status {status}")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _reason(error: Exception) -> str:
    """The system's words where there are any: those of the library around them name addresses that nobody asked for."""
    number = getattr(error, "errno", None) or 0
    return os.strerror(number) if number > 0 else str(error) or type(error).__name__
