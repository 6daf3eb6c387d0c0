"""tcp-echo: sends each line back with a prefix in front. ``tcp_echo PORT[,PORT…] PREFIX``."""

from __future__ import annotations

import asyncio
import sys


async def echo(prefix: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection until the client has sent everything."""
    try:
        while line := await reader.readline():
            print(f"request: {line.decode(errors='replace').rstrip()}", flush=True)
            writer.write(f"{prefix} ".encode() + line)
            await writer.drain()
    except (ConnectionError, ValueError):  # reset, or a line longer than the reader's limit
        return
    finally:
        writer.close()


async def serve(ports: list[int], prefix: str) -> None:
    """Listen on every port, for ever."""
    servers = []
    for port in ports:
        servers.append(await asyncio.start_server(lambda r, w: echo(prefix, r, w), "0.0.0.0", port))
        print(f"listening on [::]:{port}, prefix: {prefix}", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


def main(arguments: list[str]) -> int:
    """Exit status: 1 for a wrong command line."""
    try:
        ports, prefix = [int(port) for port in arguments[0].split(",")], arguments[1]
    except (ValueError, IndexError):
        print("usage: tcp-echo PORT[,PORT...] PREFIX", file=sys.stderr)
        return 1
    asyncio.run(serve(ports, prefix))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
