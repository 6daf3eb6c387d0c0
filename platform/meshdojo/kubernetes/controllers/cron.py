"""Cron schedules: ``*/5 8-18 * * mon-fri``, ``@hourly``.

Source: ``github.com/robfig/cron/v3`` (ParseStandard), which Kubernetes uses: where both days are restricted, either
fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
# A schedule that fits no day within a leap cycle (30 February) never fits.
_HORIZON_DAYS = 366 * 8


@dataclass(frozen=True)
class Schedule:
    """The minutes, hours, days and months at which something is due. Days of the week count from Sunday, 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Raises ValueError, naming the field, what was found and what is allowed."""
        fields = _MACROS.get(text.strip(), text).split()
        if len(fields) != 5:
            raise ValueError(
                f"schedule {text!r}: expected 5 fields (minute hour day month weekday), found {len(fields)}"
            )
        minute, hour, day, month, weekday = fields
        return cls(
            _values("minute", minute, 0, 59),
            _values("hour", hour, 0, 23),
            _values("day", day, 1, 31),
            _values("month", month, 1, 12, _MONTHS, 1),
            frozenset(value % 7 for value in _values("weekday", weekday, 0, 7, _DAYS)),
            day.startswith(("*", "?")),
            weekday.startswith(("*", "?")),
        )

    def next(self, after: datetime) -> datetime | None:
        """The first time that is due after `after`, in its time zone; None if there is none."""
        start = (after + timedelta(minutes=1)).replace(second=0, microsecond=0)
        midnight = start.replace(hour=0, minute=0)
        for offset in range(_HORIZON_DAYS):
            day = midnight + timedelta(days=offset) if offset else start
            if self._fits_day(day):
                found = self._first_on(day)
                if found is not None:
                    return found
        return None

    def _fits_day(self, day: datetime) -> bool:
        if day.month not in self.months:
            return False
        fits, fits_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return fits and fits_weekday
        return fits or fits_weekday

    def _first_on(self, day: datetime) -> datetime | None:
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                if (hour, minute) >= (day.hour, day.minute):
                    return day.replace(hour=hour, minute=minute)
        return None


def _values(
    field: str, text: str, low: int, high: int, names: list[str] | None = None, first_name: int = 0
) -> frozenset[int]:
    """The values of one field: a list of ``*``, ``a``, ``a-b``, each with an optional ``/step``."""
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        start, dash, end = span.partition("-")
        try:
            if span in ("*", "?"):
                bounds = low, high
            else:
                first = _number(start, names, first_name)
                bounds = first, _number(end, names, first_name) if dash else high if slash else first
            stride = int(step) if slash else 1
        except ValueError:
            bounds, stride = (low - 1, low), 0
        if not low <= bounds[0] <= bounds[1] <= high or stride < 1:
            raise ValueError(
                f"schedule: {field} is {part!r}; allowed are {low} to {high}, ranges (a-b) and steps (*/n)"
            )
        values.update(range(bounds[0], bounds[1] + 1, stride))
    return frozenset(values)


def _number(text: str, names: list[str] | None, first_name: int) -> int:
    if names and text.lower() in names:
        return names.index(text.lower()) + first_name
    return int(text)
