"""The program: finds the command, runs it, turns what went wrong into istioctl's words and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from meshdojo.istio.istioctl import tree
from meshdojo.istio.istioctl.command import Command, CommandError, UsageError, parse, resolve, usage

USAGE_CODE = 64


def main(argv: Sequence[str]) -> int:
    """Run one command; returns the exit code (0, 1, 64 for a wrong command line, 79 for findings of analyze)."""
    try:
        return _run(list(argv))
    except UsageError as error:
        return _failed(str(error), USAGE_CODE)
    except CommandError as error:
        return _failed(str(error), error.code)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _failed(message: str, code: int) -> int:
    print(f"Error: {message}", file=sys.stderr)
    return code


def _run(argv: list[str]) -> int:
    if argv[:1] == ["help"]:
        argv = [*argv[1:], "--help"]
    path, words = resolve(tree.ROOT, tree.GLOBALS, argv)
    command = path[-1]
    invocation = parse((*command.flags, *tree.GLOBALS, tree.HELP), words)
    if invocation["help"] or command.run is None:
        sys.stdout.write(usage(path, tree.GLOBALS))
        return 0
    if not command.positional:
        _check_no_arguments(path, invocation.arguments)
    return command.run(invocation)


def _check_no_arguments(path: list[Command], arguments: list[str]) -> None:
    if arguments and not path[-1].positional:
        full = " ".join(command.name for command in path)
        raise UsageError(f'unknown command "{arguments[0]}" for "{full}"')
