"""What schemathesis is told of Kubernetes, by `test_fuzz.py`: what an object is called and of what kind it is.

A description in OpenAPI cannot say it (the fields are any text), and without it every body is refused at the door.
"""

from __future__ import annotations

from typing import Any

import schemathesis

_KIND = "x-kubernetes-group-version-kind"


@schemathesis.hook  # type: ignore[untyped-decorator, unused-ignore]
def map_body(context: Any, body: Any) -> Any:
    """The body of a POST or PUT with the kind of its path, and with a name."""
    raw = context.operation.definition.raw
    kind = raw.get(_KIND)
    if not isinstance(body, dict) or kind is None or context.operation.method.upper() not in ("POST", "PUT"):
        return body
    version = f"{kind['group']}/{kind['version']}" if kind["group"] else kind["version"]
    name = {"generateName": "fuzz-"} if context.operation.method.upper() == "POST" else {"name": "one"}
    return {**body, "apiVersion": version, "kind": kind["kind"], "metadata": name}
