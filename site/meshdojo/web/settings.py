"""What the site needs to know before it starts."""

from __future__ import annotations

import ipaddress
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from meshdojo.backends.variables import own_command

DEFAULT_PORT = 8484
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


def _new_token() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Provider:
    """An OpenID Connect provider that people sign in with.

    `issuer` is its address (its configuration is found below it); `instructors` and `admins` are subjects, or
    addresses that the provider calls verified.
    """

    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    instructors: frozenset[str] = frozenset()
    admins: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Webhook:
    """Where events are posted to; `secret` signs them (see docs/workshops.md)."""

    url: str
    secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class Settings:
    """Settings of one site; every field but `state_directory` has a default that suits a laptop.

    `database_url` is a SQLAlchemy URL with an async driver (``sqlite+aiosqlite:///…``, ``postgresql+psycopg://…``);
    '' means ``site.db`` in the state directory. `base_url` is the address the learner's browser uses; '' means
    ``http://127.0.0.1:port``. `content` is the folder that holds ``labs/``; None means what meshdojo ships. `backend`
    and `instance` name the mesh that the checks judge; `command` is how the pages call the command line. `secret` signs
    cookies ('' for a key in the state directory): processes that serve one site need the same. `provider` and `webhook`
    are None for none. Raises ValueError naming the field that is wrong.
    """

    state_directory: Path
    content: Path | None = None
    database_url: str = ""
    backend: str = "embedded"
    instance: str = "default"
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    base_url: str = ""
    token: str = field(default_factory=_new_token, repr=False)
    command: str = field(default_factory=own_command)
    secret: str = field(default="", repr=False)
    provider: Provider | None = None
    webhook: Webhook | None = None

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536:
            raise ValueError(f"port {self.port}: allowed are 1 to 65535")
        if len(self.token) < 16:
            raise ValueError(
                f"token of {len(self.token)} characters: at least 16 are needed; leave it out for a random one"
            )
        if self.secret and len(self.secret) < 32:
            raise ValueError(f"secret of {len(self.secret)} characters: at least 32 are needed")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"base_url {self.base_url!r}: expected http://host[:port] or https://host[:port]")

    @property
    def url(self) -> str:
        """The address of the site, without a slash at the end."""
        return (self.base_url or f"http://{_bracketed(self.host)}:{self.port}").rstrip("/")

    @property
    def entry_url(self) -> str:
        """The address to open first: it carries the token, so show it to the owner only and never log it."""
        return f"{self.url}/?token={self.token}"

    def call(self, words: str) -> str:
        """How the learner calls the command line for this very mesh: 'shell' -> 'meshdojo shell --backend kind'."""
        options = {"--backend": (self.backend, "embedded"), "--name": (self.instance, "default")}
        chosen = [f"{name} {shlex.quote(value)}" for name, (value, usual) in options.items() if value != usual]
        return " ".join([self.command, words, *chosen])

    @property
    def is_reachable(self) -> bool:
        """Whether others than this machine can reach the site at its address."""
        return not _is_local(urlsplit(self.url).hostname or "")

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the database."""
        return self.database_url or f"sqlite+aiosqlite:///{self.state_directory / 'site.db'}"

    @property
    def hosts(self) -> frozenset[str]:
        """The names that a Host header may carry: any other means DNS rebinding."""
        own = _bracketed(urlsplit(self.url).hostname or "")
        return LOOPBACK_NAMES | {own} if _is_local(self.host) else frozenset({own})


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings that are secrets, or too many for a command line: see docs/site-security.md. Raises ValueError."""
    found: dict[str, Any] = {"secret": environment.get("MESHDOJO_SECRET", "")}
    if issuer := environment.get("MESHDOJO_OIDC_ISSUER", ""):
        client = environment.get("MESHDOJO_OIDC_CLIENT_ID", "")
        if not client:
            raise ValueError("MESHDOJO_OIDC_CLIENT_ID is missing: the provider must know us by a name")
        found["provider"] = Provider(
            issuer.rstrip("/"),
            client,
            environment.get("MESHDOJO_OIDC_CLIENT_SECRET", ""),
            _names(environment.get("MESHDOJO_OIDC_INSTRUCTORS", "")),
            _names(environment.get("MESHDOJO_OIDC_ADMINS", "")),
        )
    if url := environment.get("MESHDOJO_WEBHOOK", ""):
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"MESHDOJO_WEBHOOK {url!r}: expected an address that begins with http:// or https://")
        found["webhook"] = Webhook(url, environment.get("MESHDOJO_WEBHOOK_SECRET", ""))
    return found


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())
