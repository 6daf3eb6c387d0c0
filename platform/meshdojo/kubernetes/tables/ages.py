"""Ages and durations as kubectl's tables show them.

Source: k8s.io/apimachinery/pkg/util/duration HumanDuration.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

UNKNOWN = "<unknown>"
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 86400 * 365


def human_duration(duration: timedelta) -> str:
    """``5s``, ``2m3s``, ``14m``, ``3h20m``, ``26h``, ``3d4h``, ``2y3d``: two units when the first is small."""
    seconds = int(duration.total_seconds())
    if duration.total_seconds() < 0:
        return "<invalid>" if seconds < -1 else "0s"
    if seconds < 2 * _MINUTE:
        return f"{seconds}s"
    if seconds < 10 * _MINUTE:
        return _two(seconds, _MINUTE, "m", 1, "s")
    if seconds < 3 * _HOUR:
        return f"{seconds // _MINUTE}m"
    if seconds < 8 * _HOUR:
        return _two(seconds, _HOUR, "h", _MINUTE, "m")
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR}h"
    if seconds < 8 * _DAY:
        return _two(seconds, _DAY, "d", _HOUR, "h")
    if seconds < 2 * _YEAR:
        return f"{seconds // _DAY}d"
    if seconds < 8 * _YEAR:
        return _two(seconds, _YEAR, "y", _DAY, "d")
    return f"{seconds // _YEAR}y"


def _two(seconds: int, large: int, large_unit: str, small: int, small_unit: str) -> str:
    whole, rest = divmod(seconds, large)
    count = rest // small
    return f"{whole}{large_unit}{count}{small_unit}" if count else f"{whole}{large_unit}"


def parse_time(text: Any) -> datetime | None:
    """An RFC 3339 time of the API; None when absent or not a time."""
    if not isinstance(text, str) or not text:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def age(text: Any, now: datetime) -> str:
    """How long ago the time `text` was; ``<unknown>`` without one."""
    moment = parse_time(text)
    return human_duration(now - moment) if moment is not None else UNKNOWN
