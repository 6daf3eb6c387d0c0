"""CEL expressions: read, bounded, and evaluated for no longer than the real API server would.

Whoever may create a CustomResourceDefinition writes them, and everybody's requests wait while one is evaluated. The
engine counts nothing itself, so that each turn of a loop (``all``, ``exists``, ``map`` and the like) gets a first
condition that counts: ``self.all(x, x > 0)`` is evaluated as ``self.all(x, SPEND(6) && (x > 0))``. A turn costs as much
as its body has parts, about as in the real interpreter. Sources: k8s.io/apiserver/pkg/apis/cel/config.go for the
limits, cel-go's parser for how deep and how long an expression may be.

Costs are the same on every machine. The limits in seconds, which stand behind them, are not, and are met where the
engine is slow for its cost only: its ``map`` copies what it has gathered in each turn.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from meshdojo.kubernetes.schema.engine import engine, with_functions

CALL_LIMIT = 1_000_000
"""What one evaluation of one rule may cost."""

OBJECT_LIMIT = 10_000_000
"""What all rules together may cost for one object."""

CANCELLED = "operation cancelled: actual cost limit exceeded"
_CALL_SECONDS = 2.0
_OBJECT_SECONDS = 4.0

# cel-go's limit is 100,000; the engine panics when it has to point at something behind column 65,535.
_LONGEST = 65_000
_DEEPEST = 250
_SPEND = "meshdojo_spend"
_MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "filter", "map"})
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
# What begins a new branch of the parse: the parts before and after it are not nested in one another.
_BRANCHES = frozenset({",", "&&", "||", "?", ":"})
_NESTS = frozenset({".", "[", "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in"})
_TURN = 2

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|//[^\n]*)
    | (?P<string>[rRbB]{0,2}(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''
        |"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>\d[\w.]*)
    | (?P<mark>&&|\|\||==|!=|<=|>=|.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass
class Budget:
    """What the evaluations for one object may still cost."""

    left: int = OBJECT_LIMIT
    seconds_left: float = _OBJECT_SECONDS
    broken_off: bool = field(default=False, init=False)
    """Whether the last evaluation reached the limit of one."""
    _cost: int = field(default=0, init=False)
    _begun: float = field(default=0.0, init=False)

    def begin(self) -> None:
        """A new evaluation."""
        self.broken_off, self._cost, self._begun = False, 0, time.thread_time()

    def end(self) -> None:
        """What the evaluation has cost is gone."""
        self.left -= self._cost
        self.seconds_left -= time.thread_time() - self._begun

    @property
    def exceeded(self) -> bool:
        """Whether nothing may be evaluated any more."""
        return self.left < 0 or self.seconds_left < 0

    def spend(self, cost: int) -> bool:
        """True, so that it may stand before a condition. Raises OverflowError above the limit."""
        self._cost += cost
        if self._cost > CALL_LIMIT or time.thread_time() - self._begun > _CALL_SECONDS:
            self.broken_off = True
            raise OverflowError(CANCELLED)
        return True


@lru_cache(maxsize=4096)
def compiled(text: str) -> Any:
    """The program of an expression. Raises ValueError for one that cannot be read."""
    _require_bounds(text)
    return engine().compile(text)


@lru_cache(maxsize=4096)
def _counting(text: str) -> tuple[Any, int]:
    """(the program that counts its turns, what the expression costs outside of loops)."""
    compiled(text)
    counted, cost = _with_counters(text)
    return engine().compile(counted), cost


def evaluate(
    text: str, variables: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]], budget: Budget
) -> Any:
    """The value of an expression. Raises whatever the engine raises; `budget` says whether that was the limit."""
    program, cost = _counting(text)
    functions = {**functions, _SPEND: budget.spend}
    context = with_functions(engine().Context(variables=dict(variables), functions=functions))
    budget.begin()
    try:
        budget.spend(cost)
        return program.execute(context)
    finally:
        budget.end()


def _tokens(text: str) -> list[tuple[str, str, int]]:
    """(kind, text, where it begins) of everything but spaces and comments."""
    found = ((match.lastgroup or "", match[0], match.start()) for match in _TOKEN.finditer(text))
    return [token for token in found if token[0] != "space"]


def _require_bounds(text: str) -> None:
    """Raises ValueError for an expression so long or so nested that reading it could end the process."""
    if len(text) > _LONGEST:
        words = f"expression code point size exceeds limit: size: {len(text)}, limit {_LONGEST}"
        raise ValueError(f"': ERROR: <input>:-1:0: {words}")
    # How deep the branch at hand is, for each open bracket.
    depths = [0]
    for _, mark, _ in _tokens(text):
        if mark in _BRANCHES:
            depths[-1] = 0
        elif mark in _NESTS:
            depths[-1] += 1
        if mark in _BRACKETS:
            depths.append(0)
        elif mark in _BRACKETS.values() and len(depths) > 1:
            depths.pop()
        if len(depths) > _DEEPEST or depths[-1] > _DEEPEST:
            raise ValueError(f"': ERROR: <input>:-1:0: expression recursion limit exceeded: {_DEEPEST}")


@dataclass
class _Bracket:
    """An open bracket: of which macro, where it begins, where its commas are, and how many parts are in it."""

    macro: str
    begin: int
    commas: list[int] = field(default_factory=list)
    parts: int = 0


def _with_counters(text: str) -> tuple[str, int]:
    """(the expression with a counter in each loop, how many parts are outside of loops)."""
    tokens = _tokens(text)
    open_brackets = [_Bracket("", 0)]
    insertions: list[tuple[int, str]] = []
    for index, (kind, mark, where) in enumerate(tokens):
        if mark in _BRACKETS:
            called = index >= 2 and mark == "(" and tokens[index - 2][1] == "." and tokens[index - 1][1]
            open_brackets.append(_Bracket(called if called in _MACROS else "", where + 1))
        elif mark in _BRACKETS.values() and len(open_brackets) > 1:
            closed = open_brackets.pop()
            if closed.macro and closed.commas:
                insertions += _counters(closed, where)
            else:
                open_brackets[-1].parts += closed.parts
        elif mark == ",":
            open_brackets[-1].commas.append(where)
        elif kind != "mark" or mark not in ".;":
            open_brackets[-1].parts += 1
    for where, inserted in sorted(insertions, reverse=True):
        text = f"{text[:where]}{inserted}{text[where:]}"
    return text, open_brackets[0].parts


def _counters(loop: _Bracket, end: int) -> list[tuple[int, str]]:
    """What to insert where, so that a loop counts its turns."""
    spend = f"{_SPEND}({_TURN + loop.parts})"
    begin = loop.commas[0] + 1
    if loop.macro == "map" and len(loop.commas) == 1:
        return [(begin, f" {spend},")]
    condition_ends = loop.commas[1] if len(loop.commas) > 1 else end
    return [(begin, f" {spend} && ("), (condition_ends, ")")]
