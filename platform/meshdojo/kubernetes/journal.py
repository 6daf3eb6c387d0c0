"""The append-only log on disk that holds every object of an environment.

One file. Each line is a record: the CRC-32 of the JSON as 8 hex digits, a space, the JSON. The first record is
``{"journal": 1, "revision": N}``; then ``{"put": STORAGE, "object": {...}}`` and
``{"delete": [STORAGE, NAMESPACE, NAME], "revision": N}``.

*Durability.* A record has been handed to the kernel (``write``) before the API answers, so a killed process loses
nothing. Only a crash of the machine can lose the last moments; ``fsync=True`` closes that too, at the price of one
fsync per change.

*Compaction.* The live objects are written to a new file, which is fsynced and renamed over the log: at every moment one
complete log exists.

*Damage.* A torn last record (the machine died while writing) is dropped and reported in `Contents.torn`. Any other
damage is a `JournalError`: nothing is guessed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from meshdojo.cluster.client import Object
from meshdojo.errors import UserError

FORMAT = 1


class JournalError(UserError):
    """The log cannot be used; the message names the file, the reason and the remedy."""


@dataclass
class Contents:
    """What a log held: objects by (storage, namespace, name), the last revision, the bytes of a torn last record."""

    objects: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    revision: int = 0
    records: int = 0
    torn: bytes = b""


class Journal:
    """An open log, ready to append to. Raises JournalError when another process holds it or it is damaged."""

    def __init__(self, path: Path, *, fsync: bool = False) -> None:
        self.path = path
        self._fsync = fsync
        self._broken = ""
        self._file = _open_locked(path)
        try:
            self.contents = self._load()
        except BaseException:
            os.close(self._file)
            raise

    def _load(self) -> Contents:
        data = self.path.read_bytes()
        contents = Contents()
        size = 0
        for number, line in enumerate(_lines(data), 1):
            record = _parse(line)
            if record is None:
                if size + len(line) < len(data):
                    raise JournalError(f"{self.path}, record {number}: damaged; {_REMEDY}")
                contents.torn = line
                break
            self._apply(contents, record, number)
            size += len(line)
        os.ftruncate(self._file, size)
        self.size = size
        if not contents.records:
            self._write(_encode({"journal": FORMAT, "revision": 0}))
        return contents

    def _apply(self, contents: Contents, record: dict[str, Any], number: int) -> None:
        contents.records += 1
        if number == 1:
            self._check_header(contents, record)
        elif "put" in record:
            obj = record["object"]
            metadata = obj["metadata"]
            contents.objects[(record["put"], metadata.get("namespace", ""), metadata["name"])] = obj
            contents.revision = int(metadata["resourceVersion"])
        else:
            contents.objects.pop(tuple(record["delete"]), None)
            contents.revision = record["revision"]

    def _check_header(self, contents: Contents, record: dict[str, Any]) -> None:
        if record.get("journal") != FORMAT:
            found = record.get("journal")
            raise JournalError(f"{self.path}: format {found!r}, but this version reads {FORMAT}; {_REMEDY}")
        contents.revision = record["revision"]

    def put(self, storage: str, obj: Object) -> None:
        """Append the new state of an object. Raises OSError when it could not be written (then nothing was)."""
        self._write(_encode({"put": storage, "object": obj}))

    def delete(self, storage: str, namespace: str, name: str, revision: int) -> None:
        """Append a deletion. Raises OSError when it could not be written (then nothing was)."""
        self._write(_encode({"delete": [storage, namespace, name], "revision": revision}))

    def _write(self, line: bytes) -> None:
        if self._broken:
            raise OSError(errno.EIO, self._broken)
        try:
            _write_all(self._file, line)
            if self._fsync:
                os.fsync(self._file)
        except OSError:
            self._take_back()
            raise
        self.size += len(line)

    def _take_back(self) -> None:
        """Cut off what a failed write left behind; without that no later record could be read back."""
        try:
            os.ftruncate(self._file, self.size)
        except OSError as error:
            self._broken = f"an earlier write failed and could not be undone ({error.strerror})"

    def compact(self, objects: Iterable[tuple[str, Object]], revision: int) -> None:
        """Rewrite the log with only these (storage, object). Raises OSError, and then the old log stays in use."""
        fresh = self.path.with_name(self.path.name + ".new")
        file = -1
        try:
            fresh.unlink(missing_ok=True)
            file = _open_locked(fresh)
            lines = b"".join(_snapshot(objects, revision))
            _write_all(file, lines)
            os.fsync(file)
            fresh.rename(self.path)
        except OSError:
            if file >= 0:
                os.close(file)
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise
        os.close(self._file)
        self._file, self.size, self._broken = file, len(lines), ""

    def close(self) -> None:
        """Flush to the disk and let go of the file."""
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.fsync(self._file)
            os.close(self._file)
            self._file = -1
            self._broken = "the journal is closed"


_REMEDY = "`meshdojo down --delete` starts afresh, or put a good copy of the file in its place"


def _open_locked(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise JournalError(f"{path} is in use by another process: is this environment already up?") from error
    return file


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _lines(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end


def _encode(record: dict[str, Any]) -> bytes:
    body = orjson.dumps(record)
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _parse(line: bytes) -> dict[str, Any] | None:
    """The record of a line; None when the line is not whole."""
    checksum, _, body = line.partition(b" ")
    if not body.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(body[:-1]):
        return None
    record: dict[str, Any] = orjson.loads(body)
    return record


def _snapshot(objects: Iterable[tuple[str, Object]], revision: int) -> Iterator[bytes]:
    yield _encode({"journal": FORMAT, "revision": 0})
    for storage, obj in sorted(objects, key=lambda item: int(item[1]["metadata"]["resourceVersion"])):
        yield _encode({"put": storage, "object": obj})
    # The last revision may belong to a deletion: it must not be given out again.
    yield _encode({"delete": ["", "", ""], "revision": revision})
