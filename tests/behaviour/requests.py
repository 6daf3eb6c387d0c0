"""The client of these tests, run from its own source in a pod: a list of requests in, a list of answers out, as JSON.

Each request is {"url", "method", "headers"}; each answer {"status", "headers", "body"} (headers a list of pairs, names
in small letters) or {"error"}. A host in ``headers`` replaces the one of the URL.
"""

from __future__ import annotations

import http.client
import json
import sys
from typing import Any
from urllib.parse import urlsplit


def send(connections: dict[str, http.client.HTTPConnection], request: dict[str, Any]) -> dict[str, Any]:
    parts = urlsplit(request["url"])
    connection = connections.get(parts.netloc)
    if connection is None:
        connection = connections[parts.netloc] = http.client.HTTPConnection(parts.netloc, timeout=30)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(request.get("method", "GET"), path, headers=request.get("headers", {}))
        answer = connection.getresponse()
        body = answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        connections.pop(parts.netloc).close()
        return {"error": type(error).__name__}
    headers = [[name.lower(), value] for name, value in answer.getheaders()]
    return {"status": answer.status, "headers": headers, "body": body}


if __name__ == "__main__":
    open_connections: dict[str, http.client.HTTPConnection] = {}
    print(json.dumps([send(open_connections, one) for one in json.loads(sys.argv[1])]))
