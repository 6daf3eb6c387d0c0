"""``tar`` where the host has none: as much of it as ``kubectl cp`` asks for, and people type.

``tar cf ARCHIVE PATH…``, ``tar xf ARCHIVE [-C DIRECTORY]``, ``tar tf ARCHIVE``; ``-`` is standard input or output,
``z`` compresses. `kubectl cp` sends ``tar cf - PATH`` and ``tar -xmf - -C DIRECTORY``, some versions with long options.
"""

from __future__ import annotations

import os
import sys
import tarfile
from dataclasses import dataclass, field
from typing import Any, Literal

_WITH_VALUE = {"f": "archive", "C": "directory"}
_LONG = {
    "--create": "c",
    "--extract": "x",
    "--list": "t",
    "--gzip": "z",
    "--verbose": "v",
    "--no-same-owner": "",
    "--no-same-permissions": "",
    "--touch": "m",
    "--overwrite": "",
    "--warning=no-timestamp": "",
}
# Python's own filter also refuses devices and drops rights; Debian 12's Python 3.11.2 is older than it.
_FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


class UsageError(Exception):
    """The command line is wrong."""


@dataclass
class Options:
    """What the command line asks for."""

    letters: str = ""
    archive: str = "-"
    directory: str = "."
    paths: list[str] = field(default_factory=list)

    @property
    def compression(self) -> Literal["gz", ""]:
        """How `tarfile` is to compress: gz or not at all."""
        return "gz" if "z" in self.letters else ""


def parse(words: list[str]) -> Options:
    """Raises `UsageError`."""
    options, rest = Options(), list(words)
    if rest and not rest[0].startswith("-"):
        rest[0] = "-" + rest[0]  # the old style: tar cf
    while rest:
        word = rest.pop(0)
        if word == "--":
            options.paths += rest
            break
        if word.startswith("--"):
            name, _, value = word.partition("=")
            if name in ("--file", "--directory"):
                setattr(options, "archive" if name == "--file" else "directory", value or _next(rest, word))
            elif word in _LONG:
                options.letters += _LONG[word]
            else:
                raise UsageError(f"unrecognized option '{word}'")
        elif word.startswith("-") and len(word) > 1:
            _letters(options, word[1:], rest)
        else:
            options.paths.append(word)
    if len(set(options.letters) & set("cxt")) != 1:
        raise UsageError("You must specify one of the '-ctx' options")
    return options


def _letters(options: Options, letters: str, rest: list[str]) -> None:
    for position, letter in enumerate(letters):
        if letter in _WITH_VALUE:
            setattr(options, _WITH_VALUE[letter], letters[position + 1 :] or _next(rest, letter))
            return
        if letter not in "cxtzvmpoOPh":
            raise UsageError(f"invalid option -- '{letter}'")
        options.letters += letter


def _next(rest: list[str], option: str) -> str:
    if not rest:
        raise UsageError(f"option requires an argument -- '{option}'")
    return rest.pop(0)


def main(argv: list[str]) -> int:
    """Exit status: 2 for what tar calls a fatal error."""
    try:
        return run(parse(argv[1:]))
    except UsageError as error:
        print(f"tar: {error}\nTry 'tar --help' for more information.", file=sys.stderr)
    except (OSError, tarfile.TarError) as error:
        print(f"tar: {error}\ntar: Error is not recoverable: exiting now", file=sys.stderr)
    return 2


def run(options: Options) -> int:
    """Create, extract or list. Exit status 1 when a path was not there."""
    if "c" in options.letters:
        return _create(options)
    stream = sys.stdin.buffer if options.archive == "-" else None
    mode: Any = "r|*" if stream else "r:*"
    with tarfile.open(None if stream else options.archive, mode, fileobj=stream) as archive:
        for member in archive:
            if options.paths and not any(member.name == p or member.name.startswith(f"{p}/") for p in options.paths):
                continue
            if "t" in options.letters or "v" in options.letters:
                print(member.name)
            if "x" in options.letters:
                _extract(archive, member, options.directory)
    return 0


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, directory: str) -> None:
    """Raises `tarfile.TarError` for what would leave the directory, by its name or by where it links to."""
    member.name = member.name.lstrip("/")
    root = os.path.realpath(directory)
    reached = [os.path.join(root, member.name)]
    if member.issym():
        reached.append(os.path.join(os.path.dirname(reached[0]), member.linkname))
    elif member.islnk():
        reached.append(os.path.join(root, member.linkname))
    for path in reached:
        if os.path.commonpath([root, os.path.realpath(path)]) != root:
            raise tarfile.TarError(f"{member.name}: it would leave '{directory}'")
    archive.extract(member, directory, **_FILTER)


def _create(options: Options) -> int:
    stream = sys.stdout.buffer if options.archive == "-" else None
    status = 0
    mode: Any = f"w|{options.compression}" if stream else f"w:{options.compression}"
    with tarfile.open(None if stream else options.archive, mode, fileobj=stream) as archive:
        for path in options.paths:
            source = os.path.join(options.directory, path)
            if not os.path.lexists(source):
                print(f"tar: {path}: Cannot stat: No such file or directory", file=sys.stderr)
                status = 2
                continue
            archive.add(source, path.lstrip("/"))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv))
