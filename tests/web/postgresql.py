"""A PostgreSQL server for the tests: Debian's programs, a throw-away cluster, reached over a Unix socket only."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

# PostgreSQL refuses to run as root; Debian's package brings this user.
USER = "postgres"


def programs() -> Path | None:
    """The folder with ``initdb`` and ``pg_ctl``; None when PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


@contextmanager
def server(binaries: Path, *, durable: bool = False) -> Iterator[str]:
    """A running server; yields the folder of its socket, whose `data` has its files.

    Durability is off as a rule: what is tested dies with the folder.
    """
    folder = tempfile.mkdtemp(prefix="dojo-pg-", dir="/tmp")
    data = f"{folder}/data"
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, USER, USER)
        _run(binaries, "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        options = f"-k {folder} -c listen_addresses='' -c max_connections=200"
        if not durable:
            options += " -c fsync=off -c synchronous_commit=off"
        _run(binaries, "pg_ctl", "-D", data, "-l", f"{folder}/log", "-w", "-t", "120", "-o", options, "start")
        try:
            yield folder
        finally:
            _run(binaries, "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(binaries: Path, program: str, *arguments: str) -> None:
    command = [str(binaries / program), *arguments]
    if os.geteuid() == 0:
        command = ["runuser", "-u", USER, "--", *command]
    # Not through a pipe: the server would keep it open.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(command, stdout=output, stderr=output, cwd="/", check=False)
        output.seek(0)
        assert done.returncode == 0, f"{program}: {output.read()}"


@contextmanager
def new_database(folder: str, name: str) -> Iterator[str]:
    """An empty database; yields its URL."""
    with psycopg.connect(host=folder, user=USER, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield f"postgresql://{USER}@/{name}?host={folder}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
