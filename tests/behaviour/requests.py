"""The client of these tests, run from its own source in a pod: a list of requests in, a list of answers out, as JSON.

Each request is {"url", "method", "headers"}; each answer {"status", "headers", "body", "seconds"} (headers a list of
pairs, names in small letters) or {"error"}. A host in ``headers`` replaces the one of the URL. One after another over
connections that are kept; with ``parallel`` as the second argument all at once, each over a connection of its own.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit


def send(connections: dict[str, http.client.HTTPConnection], request: dict[str, Any]) -> dict[str, Any]:
    parts = urlsplit(request["url"])
    connection = connections.get(parts.netloc)
    if connection is None:
        connection = connections[parts.netloc] = http.client.HTTPConnection(parts.netloc, timeout=30)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    start = time.monotonic()
    try:
        connection.request(request.get("method", "GET"), path, headers=request.get("headers", {}))
        answer = connection.getresponse()
        body = answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        connections.pop(parts.netloc).close()
        return {"error": type(error).__name__}
    headers = [[name.lower(), value] for name, value in answer.getheaders()]
    seconds = time.monotonic() - start
    return {"status": answer.status, "headers": headers, "body": body, "seconds": seconds}


def send_all(requests: list[dict[str, Any]], parallel: bool) -> list[dict[str, Any]]:
    if parallel:
        with ThreadPoolExecutor(len(requests)) as pool:
            return list(pool.map(lambda one: send({}, one), requests))
    connections: dict[str, http.client.HTTPConnection] = {}
    return [send(connections, one) for one in requests]


if __name__ == "__main__":
    print(json.dumps(send_all(json.loads(sys.argv[1]), "parallel" in sys.argv[2:])))
