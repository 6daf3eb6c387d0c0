"""The CEL engine: the library's compiled part and its standard functions, without its command line.

The package's own ``__init__`` imports that, and with it 19 MB of terminal programs, which nobody here wants; unless
xds-protos was installed later, which brings a package ``cel``, too, with an ``__init__`` that is empty.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from types import ModuleType
from typing import Any

_COMMAND_LINE = "cel.cli"


@lru_cache(maxsize=1)
def engine() -> Any:
    """The module with ``compile`` and ``Context``. It is imported when it is first needed."""
    _import()
    from cel import cel

    return cel


def with_functions(context: Any) -> Any:
    """The context, with the standard functions of CEL's extension libraries."""
    engine()
    from cel import stdlib

    stdlib.add_stdlib_to_context(context)
    return context


def _import() -> None:
    stand_in = ModuleType(_COMMAND_LINE)
    if sys.modules.setdefault(_COMMAND_LINE, stand_in) is not stand_in:
        return
    try:
        import cel  # noqa: F401 - what it imports is found afterwards
    finally:
        del sys.modules[_COMMAND_LINE]
