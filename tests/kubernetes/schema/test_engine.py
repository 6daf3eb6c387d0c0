"""The CEL engine without its command line."""

from __future__ import annotations

import subprocess
import sys

from meshdojo.kubernetes.schema.engine import engine, with_functions

LOADED = """
import sys
from meshdojo.kubernetes.schema.engine import engine
engine()
print([name for name in ("prompt_toolkit", "typer", "cel.cli") if name in sys.modules])
"""


def test_expressions_have_the_standard_functions() -> None:
    context = with_functions(engine().Context(variables={"text": "ISTIO"}))
    assert engine().compile("text.lowerAscii() == 'istio' && [1, 2].all(one, one > 0)").execute(context) is True


def test_no_terminal_program_is_loaded_with_it() -> None:
    output = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert output.stdout == "[]\n"
