"""``proxy-config secret``: the certificates that a proxy has, without their keys."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import Any

from cryptography import x509

JSON = dict[str, Any]
HEADER = ("RESOURCE NAME", "TYPE", "STATUS", "VALID CERT", "SERIAL NUMBER", "NOT AFTER", "NOT BEFORE")
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def rows(secrets: Iterable[tuple[str, JSON]]) -> Iterator[tuple[str, ...]]:
    """A row for each secret, with whether it is valid now and until when."""
    for state, entry in secrets:
        yield _row(state, entry)


def _row(state: str, entry: JSON) -> tuple[str, ...]:
    name, secret = str(entry.get("name", "")), entry.get("secret") or {}
    kind, source = ("", None)
    if "tls_certificate" in secret:
        kind, source = "Cert Chain", secret["tls_certificate"].get("certificate_chain")
    elif "validation_context" in secret:
        kind, source = "CA", secret["validation_context"].get("trusted_ca")
    certificate = _certificate(source or {})
    if certificate is None:
        return name, kind, state, "false", "", "", ""
    after, before = certificate.not_valid_after_utc, certificate.not_valid_before_utc
    valid = before <= datetime.now(timezone.utc) <= after  # noqa: UP017
    return (
        name,
        kind,
        state,
        str(valid).lower(),
        f"{certificate.serial_number:x}",
        after.strftime(_TIME),
        before.strftime(_TIME),
    )


def _certificate(source: JSON) -> x509.Certificate | None:
    """The first certificate of a chain."""
    if "inline_bytes" in source:
        data = base64.b64decode(source["inline_bytes"])
    else:
        data = str(source.get("inline_string", "")).encode()
    return x509.load_pem_x509_certificate(data) if b"BEGIN CERTIFICATE" in data else None
