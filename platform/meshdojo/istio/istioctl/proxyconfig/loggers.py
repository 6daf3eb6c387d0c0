"""``istioctl proxy-config log``: how much Envoy's loggers say.

Source: logCmd in istioctl/pkg/proxyconfig/proxyconfig.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from meshdojo.istio.istioctl.command import CommandError

LEVELS = ("trace", "debug", "info", "warning", "error", "critical", "off")
ALL = "level"
DEFAULT = "warning"
_SEPARATOR = re.compile("[:=]")


def changes(wanted: str, reset: bool, known: str) -> list[tuple[str, str]]:
    """(logger, level) for each request to make, all of them first; `known` is Envoy's list of its loggers.

    Raises CommandError.
    """
    if reset:
        return [(ALL, DEFAULT)]
    found: dict[str, str] = {}
    for part in wanted.split(",") if wanted else ():
        if not _SEPARATOR.search(part):
            found = {ALL: _level(part)}
            continue
        name, level = _SEPARATOR.split(part.rpartition("::")[2], maxsplit=1)
        if name not in known and name != ALL:
            raise CommandError(f"unrecognized logger name: {name}")
        found[name] = _level(level)
    return sorted(found.items(), key=lambda one: one[0] != ALL)


def _level(text: str) -> str:
    if text not in LEVELS:
        raise CommandError(f"unrecognized logging level: {text}")
    return text


def paths(wanted: Iterable[tuple[str, str]]) -> list[str]:
    """What to ask Envoy's admin interface for; without a change its present levels."""
    return [f"logging?{name}={level}" for name, level in wanted] or ["logging"]
