"""The command line: ``python -m probe --url URL …`` or ``python -m probe serve``."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from types import FrameType

from probe import one
from probe.load import Load, send
from probe.tally import Tally, label_from


def header(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=VALUE")
    return name, value


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("probe", description="Send requests and count the answers, as JSON.")
    parser.add_argument("--url", required=True, help="http://HOST[:PORT]/PATH")
    parser.add_argument("--requests", type=int, default=1, metavar="N")
    parser.add_argument("--concurrency", type=int, default=8, metavar="N", help="connections (default 8)")
    parser.add_argument("--method", default="GET", choices=("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
    parser.add_argument("--header", type=header, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--count-by", default="status", metavar="WHAT", help="status, header:NAME or json:PATH")
    parser.add_argument("--timeout", type=float, default=10, metavar="SECONDS", help="for one request (default 10)")
    parser.add_argument("--deadline", type=float, default=60, metavar="SECONDS", help="for all of them (default 60)")
    parser.add_argument(
        "--session", type=int, default=0, metavar="N", help="N requests in a row are one customer's, with cookies"
    )
    return parser


def load(arguments: list[str]) -> None:
    options = parser()
    given = options.parse_args(arguments)
    try:
        label = label_from(given.count_by)
        wanted = Load(
            given.url,
            given.requests,
            given.concurrency,
            given.method,
            dict(given.header),
            given.timeout,
            given.deadline,
            given.session,
        )
    except ValueError as error:
        options.error(str(error))
    tally = Tally(label)
    seconds = asyncio.run(send(wanted, tally))
    print(json.dumps(tally.report(seconds)), flush=True)


def serve() -> None:
    """Do nothing until SIGTERM: the main process of the probe's pod, into which checks exec."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print("probe: waiting", flush=True)
    while True:
        signal.pause()


def main() -> None:
    arguments = sys.argv[1:]
    if arguments == ["serve"]:
        serve()
    elif arguments[:1] in (["one"], ["steady"]):
        one.main(arguments)
    else:
        load(arguments)


if __name__ == "__main__":
    main()
