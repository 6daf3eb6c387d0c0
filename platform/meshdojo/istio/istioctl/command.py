"""A command line of commands, subcommands and flags as cobra (which istioctl is made with) parses it.

Flags may stand anywhere, ``--name value`` and ``--name=value`` are the same, and mistakes get cobra's words. Written
here because argparse differs in all of that, and so that nothing is imported before a command runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

FlagType = Literal["bool", "string", "strings", "duration"]
Values = dict[str, Any]


class UsageError(Exception):
    """A command line that is wrong; the message is cobra's."""


class CommandError(Exception):
    """A command that failed; `code` is the exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Flag:
    """A flag; ``strings`` may be repeated. `label` is what help shows for the value."""

    name: str
    short: str = ""
    type: FlagType = "string"
    default: Any = ""
    help: str = ""
    label: str = ""

    @property
    def initial(self) -> Any:
        """The flag's value when it is not given."""
        return {"bool": False, "strings": []}.get(self.type, "") if self.default == "" else self.default


@dataclass(frozen=True)
class Invocation:
    """A parsed command line."""

    values: Values
    arguments: list[str]

    def __getitem__(self, flag: str) -> Any:
        return self.values[flag]


Run = Callable[[Invocation], int]


@dataclass(frozen=True)
class Command:
    """A command: with `run`, or with subcommands. `arguments` is what follows the name in the usage line."""

    name: str
    short: str
    run: Run | None = None
    flags: tuple[Flag, ...] = ()
    commands: tuple[Command, ...] = ()
    aliases: tuple[str, ...] = ()
    long: str = ""
    arguments: str = ""
    examples: str = ""
    positional: bool = field(default=False)

    def find(self, word: str) -> Command | None:
        """The command below this one with that name or alias, None for none."""
        return next((one for one in self.commands if word == one.name or word in one.aliases), None)


def resolve(root: Command, globals_: tuple[Flag, ...], argv: Sequence[str]) -> tuple[list[Command], list[str]]:
    """The path of commands that `argv` names, and the other words. Raises UsageError for an unknown command."""
    path, rest = [root], list(argv)
    while path[-1].commands:
        index = _first_argument(rest, (*globals_, *path[-1].flags))
        if index is None:
            break
        word = rest[index]
        found = path[-1].find(word)
        if found is None and len(path) > 1:
            break  # as cobra does below the root: the group's help, and no error
        if found is None:
            name = " ".join(command.name for command in path)
            raise UsageError(f'unknown command "{word}" for "{name}"\nRun \'{name} --help\' for usage.')
        del rest[index]
        path.append(found)
    return path, rest


def _first_argument(words: Sequence[str], flags: tuple[Flag, ...]) -> int | None:
    """The index of the first word that is neither a flag nor a flag's value."""
    skip = False
    for index, word in enumerate(words):
        if skip:
            skip = False
        elif not word.startswith("-") or word == "-":
            return index
        elif word == "--":
            return None
        else:
            flag = _flag_of(word, flags)
            skip = flag is not None and flag.type != "bool" and "=" not in word and _is_alone(word, flag)
    return None


def _flag_of(word: str, flags: tuple[Flag, ...]) -> Flag | None:
    if word.startswith("--"):
        return next((flag for flag in flags if flag.name == word[2:].partition("=")[0]), None)
    return next((flag for flag in flags if flag.short and flag.short == word[1:2]), None)


def _is_alone(word: str, flag: Flag) -> bool:
    return word == f"--{flag.name}" or word == f"-{flag.short}"


def parse(flags: tuple[Flag, ...], words: Sequence[str]) -> Invocation:
    """The values of flags and the remaining arguments. Raises UsageError."""
    values: Values = {flag.name: flag.initial for flag in flags}
    arguments: list[str] = []
    stream = iter(words)
    for word in stream:
        if word == "--":
            arguments += list(stream)
        elif word.startswith("--"):
            _long(word, flags, stream, values)
        elif word.startswith("-") and word != "-":
            _short(word, flags, stream, values)
        else:
            arguments.append(word)
    return Invocation(values, arguments)


def _long(word: str, flags: tuple[Flag, ...], stream: Iterator[str], values: Values) -> None:
    name, equals, text = word[2:].partition("=")
    flag = next((flag for flag in flags if flag.name == name), None)
    if flag is None:
        raise UsageError(f"unknown flag: --{name}")
    _store(flag, text if equals else None, f"--{name}", stream, values)


def _short(word: str, flags: tuple[Flag, ...], stream: Iterator[str], values: Values) -> None:
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = next((flag for flag in flags if flag.short == letter), None)
        if flag is None:
            raise UsageError(f"unknown shorthand flag: '{letter}' in {word}")
        if flag.type == "bool" and not letters.startswith("="):
            values[flag.name] = True
            continue
        text = letters.removeprefix("=") if letters else None
        _store(flag, text, f"-{letter}", stream, values)
        return


def _store(flag: Flag, text: str | None, shown: str, stream: Iterator[str], values: Values) -> None:
    if flag.type == "bool":
        values[flag.name] = _boolean(text, flag)
        return
    value = next(stream, None) if text is None else text
    if value is None:
        tail = f"'{shown[1:]}' in {shown}" if len(shown) == 2 else shown
        raise UsageError(f"flag needs an argument: {tail}")
    if flag.type == "duration":
        _check_duration(value, flag)
    if flag.type == "strings":
        values[flag.name] = [*values[flag.name], value]
    else:
        values[flag.name] = value


def _shown(flag: Flag) -> str:
    return f"-{flag.short}, --{flag.name}" if flag.short else f"--{flag.name}"


def _boolean(text: str | None, flag: Flag) -> bool:
    if text is None:
        return True
    known = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
    if text.lower() not in known:
        raise UsageError(
            f'invalid argument "{text}" for "{_shown(flag)}" flag: strconv.ParseBool: parsing "{text}": invalid syntax'
        )
    return known[text.lower()]


def _check_duration(text: str, flag: Flag) -> None:
    from meshdojo.istio.istioctl.durations import seconds

    try:
        seconds(text)
    except ValueError:
        raise UsageError(
            f'invalid argument "{text}" for "{_shown(flag)}" flag: time: invalid duration "{text}"'
        ) from None


def usage(path: Sequence[Command], globals_: tuple[Flag, ...]) -> str:
    """The help text of a command."""
    command, full = path[-1], " ".join(command.name for command in path)
    parts = [command.long or command.short, ""]
    parts += ["Usage:", f"  {full} {command.arguments or ('[flags]' if command.run else '[command]')}", ""]
    if command.aliases:
        parts += ["Aliases:", f"  {', '.join((command.name, *command.aliases))}", ""]
    if command.examples:
        parts += ["Examples:", command.examples, ""]
    if command.commands:
        width = max(11, *(len(one.name) for one in command.commands))
        parts += ["Available Commands:", *(f"  {one.name:<{width}} {one.short}" for one in command.commands), ""]
    own = (*command.flags, Flag("help", "h", "bool", help=f"help for {command.name}"))
    root = len(path) == 1
    parts += ["Flags:", *_flag_lines(sorted((*own, *globals_) if root else own, key=lambda flag: flag.name)), ""]
    if not root:
        parts += ["Global Flags:", *_flag_lines(globals_), ""]
    if command.commands:
        parts += [f'Use "{full} [command] --help" for more information about a command.', ""]
    return "\n".join(parts).rstrip("\n") + "\n"


def _flag_lines(flags: Sequence[Flag]) -> list[str]:
    heads = []
    for flag in flags:
        label = flag.label or {"bool": "", "strings": "stringArray"}.get(flag.type, flag.type)
        short = f"-{flag.short}, " if flag.short else "    "
        heads.append(f"  {short}--{flag.name} {label}".rstrip())
    width = max(len(head) for head in heads)
    lines = []
    for head, flag in zip(heads, flags, strict=True):
        shown = f'"{flag.default}"' if flag.type == "string" else flag.default
        default = f" (default {shown})" if flag.default else ""
        lines.append(f"{head:<{width}}   {flag.help}{default}")
    return lines
