"""The regular expressions of schemas.

Whoever may create a CustomResourceDefinition writes them, so a match must take a time that grows with the text and no
faster, as in Go. Python's own engine can take for ever (``^(a+)+$``) and reads another dialect (``\\z``, ``\\pL``); the
one of the CEL library is Rust's, which is Go's sibling in both.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from meshdojo.kubernetes.schema.engine import engine


@lru_cache(maxsize=1)
def _program() -> Any:
    return engine().compile("text.matches(pattern)")


def matches(pattern: str, text: str) -> bool:
    """Whether `pattern` is found somewhere in `text`. Raises ValueError when it is no regular expression."""
    try:
        return bool(_program().execute({"text": text, "pattern": pattern}))
    except RuntimeError as error:
        # "Function 'matches' error: ...regex parse error: (the pattern, a line of marks) error: REASON. Check ..."
        reason = str(error).splitlines()[-1].removeprefix("error: ").partition(". Check function")[0]
        raise ValueError(reason.rstrip(".")) from None


def problem(pattern: str) -> str:
    """What is wrong with a regular expression; '' when nothing is."""
    try:
        matches(pattern, "")
    except ValueError as error:
        return str(error)
    return ""
