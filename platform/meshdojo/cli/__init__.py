"""The ``meshdojo`` command. One module per command; this package holds no logic of its own beyond words and exit codes."""
