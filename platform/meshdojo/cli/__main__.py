"""``python -m meshdojo.cli``: the command without its script."""

from meshdojo.cli.start import main

main()
