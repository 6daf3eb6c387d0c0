"""``wget`` for pods: busybox's, as images with a shell have it.

``wget [-qS] [-O FILE] [-T SECONDS] [--header …] [--post-data …] URL``. It is our curl underneath, with the words and
the exit code of the other.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from meshdojo.kubelet.tools.curl import Curl
from meshdojo.kubelet.tools.curl_options import Options


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="wget")
    parser.add_argument("-q", action="store_true", help="quiet")
    parser.add_argument("-S", action="store_true", help="show the headers of the answer")
    parser.add_argument("-O", default="", metavar="FILE", help="save to FILE ('-': standard output)")
    parser.add_argument("-T", "--timeout", type=float, default=900.0, metavar="SECONDS", help="give up after SECONDS")
    parser.add_argument("-t", "--tries", type=int, default=1, help="taken, and without effect")
    parser.add_argument("-U", default="Wget", metavar="AGENT", help="the User-Agent header")
    parser.add_argument("--spider", action="store_true", help="only check whether the URL is there")
    parser.add_argument("--header", action="append", default=[], help="a header of the request")
    parser.add_argument("--post-data", default=None, help="send this as the body of a POST")
    parser.add_argument("--no-check-certificate", action="store_true", help="do not verify the server's certificate")
    parser.add_argument("urls", nargs="+", metavar="URL")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Exit status: 1 when a URL cannot be had."""
    given = _arguments(argv[1:])
    return max(_fetch(given, url) for url in given.urls)


def _fetch(given: argparse.Namespace, url: str) -> int:
    options = Options(
        urls=[url],
        silent=True,
        fail=True,
        location=True,
        head=given.spider,
        insecure=given.no_check_certificate,
        headers=["Accept:", *given.header],
        user_agent=given.U,
        max_time=given.timeout,
        data=[] if given.post_data is None else [given.post_data.encode()],
    )
    host = urlsplit(url if "://" in url else f"http://{url}")
    name = given.O or os.path.basename(host.path) or "index.html"
    if not given.q:
        print(f"Connecting to {host.netloc}", file=sys.stderr)
    body = io.BytesIO()
    curl = Curl(options, body, io.StringIO())
    code = curl.run()
    if given.S and curl.last is not None:
        print(f"  {curl.last.status_line}", *(f"  {k}: {v}" for k, v in curl.last.headers), sep="\n", file=sys.stderr)
    if code:
        print(f"wget: {_words(code, host.hostname or '', curl)}", file=sys.stderr)
        return 1
    if given.spider:
        return 0
    with _output(name) as output:
        output.write(body.getvalue())
    if not given.q and name != "-":
        print(f"saving to '{name}'\n'{name}' saved", file=sys.stderr)
    return 0


def _output(name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
    return contextlib.nullcontext(sys.stdout.buffer) if name == "-" else Path(name).open("wb")


def _words(code: int, host: str, curl: Curl) -> str:
    match code:
        case 6:
            return f"bad address '{host}'"
        case 7:
            return f"can't connect to remote host ({host}): Connection refused"
        case 22 if curl.last is not None:
            return f"server returned error: {curl.last.status_line}"
        case 28:
            return "download timed out"
        case 52 | 56:
            return "error getting response: Connection reset by peer"
    return curl.last.errormsg if curl.last is not None and curl.last.errormsg else f"curl's error {code}"


if __name__ == "__main__":
    sys.exit(main(sys.argv))
