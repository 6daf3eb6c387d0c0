"""Times as Kubernetes writes them (metav1.Time, metav1.MicroTime: RFC 3339 in UTC)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def now(offset_seconds: float = 0) -> str:
    """The current time, plus an offset: ``2026-11-21T06:30:00Z``."""
    return (datetime.now(UTC) + timedelta(seconds=offset_seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_now() -> str:
    """The current time with microseconds: ``2026-11-21T06:30:00.123456Z``."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse(text: str) -> datetime:
    """A time as Kubernetes writes it. Raises ValueError."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
