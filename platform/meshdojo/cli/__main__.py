"""``python -m meshdojo.cli``: the command without its script."""

from meshdojo.cli.main import main

main()
