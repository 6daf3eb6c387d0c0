"""helloworld: says its version and which pod it is.

``HELLOWORLD_VERSION`` comes with the image, ``SERVICE_VERSION`` may replace it, as in the sample.
"""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from samples.serving import serve

PORT = 5000


def build(version: str, instance: str) -> Starlette:
    """``/hello`` and ``/health``."""
    hello = PlainTextResponse(f"Hello version: {version}, instance: {instance}\n")
    return Starlette(routes=[Route("/hello", hello), Route("/health", PlainTextResponse("Helloworld is healthy"))])


def main() -> None:
    """The program."""
    version = os.environ.get("SERVICE_VERSION") or os.environ.get("HELLOWORLD_VERSION", "unknown")
    serve(build(version, os.environ.get("HOSTNAME", "")), PORT)


if __name__ == "__main__":
    main()
