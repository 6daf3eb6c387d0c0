"""The ``meshdojo`` command: one module per command, with no logic of its own beyond words and exit codes."""
