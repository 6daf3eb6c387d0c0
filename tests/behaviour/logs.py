"""Lines of a proxy's access log, in Istio's text format."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Source: EnvoyTextLogFormat in istio/pilot/pkg/model/telemetry_logging.go; every field of it has a place here.
_LINE = re.compile(
    r'\[(?P<start>[^\]]+)\] "(?P<method>\S+) (?P<path>\S+) (?P<protocol>\S+)" (?P<status>\d+) (?P<flags>\S+) '
    r'(?P<details>\S+) (?P<termination>\S+) "(?P<transport>[^"]*)" (?P<received>\d+) (?P<sent>\d+) '
    r'(?P<duration>\d+) (?P<upstream_time>\S+) "(?P<forwarded>[^"]*)" "(?P<agent>[^"]*)" "(?P<id>[^"]*)" '
    r'"(?P<authority>[^"]*)" "(?P<upstream>[^"]*)" (?P<cluster>\S+) (?P<local>\S+) (?P<to>\S+) (?P<peer>\S+) '
    r"(?P<sni>\S+) (?P<route>\S+)"
)


@dataclass(frozen=True)
class Entry:
    """One request as a proxy saw it; `fields` has all of the line."""

    fields: dict[str, str]

    def __getattr__(self, name: str) -> str:
        try:
            return self.fields[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def verdict(self) -> str:
        """Status, flags and details, as in ``503 UO upstream_reset_before_response_started{overflow}``."""
        return f"{self.status} {self.flags} {self.details}"


def parse(text: str) -> list[Entry]:
    """The requests in a log, in order; what is no access log line is left out."""
    return [Entry(match.groupdict()) for line in text.splitlines() if (match := _LINE.fullmatch(line))]
