"""The checks by name. One module per lab, in `labs/`; each check is an async function with the `check` decorator."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from meshdojo.checks.mesh import Mesh
from meshdojo.checks.outcome import Outcome
from meshdojo.errors import UserError

Judge = Callable[[Mesh], Awaitable[Outcome]]


@dataclass(frozen=True)
class Check:
    """A check: `id` is ``LAB.NAME``, `title` what the learner reads beside the tick.

    `without_istio`: it judges a cluster that may have no Istio or half of one, where the probe's pods may not even
    start: nothing is waited for before it. It measures from the lab's own pods, or asks for the probe itself.
    """

    id: str
    title: str
    sends_load: bool
    judge: Judge
    without_istio: bool = False

    @property
    def lab(self) -> str:
        """The lab's part of the id: what stands before the first point."""
        return self.id.partition(".")[0]

    @property
    def place(self) -> tuple[Path, int]:
        """The file that has the check, and its line."""
        code = inspect.unwrap(self.judge).__code__
        return Path(code.co_filename), code.co_firstlineno

    @property
    def source(self) -> str:
        """The source text of the function that judges, for the page that shows it."""
        return inspect.getsource(self.judge)


class UnknownCheck(UserError):
    """There is no check with this name; the message lists those of the lab."""


_checks: dict[str, Check] = {}


def check(id: str, *, title: str, sends_load: bool = False, without_istio: bool = False) -> Callable[[Judge], Judge]:
    """Register a function as the check `id` (``LAB.NAME``). `sends_load`: it has the probe send requests.

    `without_istio`: it has a verdict on a cluster without Istio too. Any other check is an `Error` there, and begins
    only once every proxy has acknowledged its configuration. Raises ValueError for an id that is taken.
    """

    def register(judge: Judge) -> Judge:
        if id in _checks:
            raise ValueError(f"two checks are named {id!r}")
        _checks[id] = Check(id, title, sends_load, judge, without_istio)
        return judge

    return register


def all_checks() -> dict[str, Check]:
    """Every check, by id."""
    from meshdojo.checks import labs

    for module in pkgutil.iter_modules(labs.__path__):
        importlib.import_module(f"{labs.__name__}.{module.name}")
    return dict(_checks)


def find(ids: Iterable[str]) -> list[Check]:
    """The checks with these ids, in order. Raises UnknownCheck."""
    known = all_checks()
    found = []
    for id in ids:
        if id not in known:
            lab = id.partition(".")[0]
            of_lab = sorted(name for name in known if name.startswith(f"{lab}."))
            raise UnknownCheck(f"check {id!r} does not exist; checks of {lab!r}: {', '.join(of_lab) or 'none'}")
        found.append(known[id])
    return found
