"""JSON patch (RFC 6902), by the library jsonpatch."""

from __future__ import annotations

from typing import Any

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors

MAX_OPERATIONS = 10_000


def apply_operations(target: Object, operations: Any) -> Object:
    """`target` after the operations. Raises StatusError 400 (no list of operations), 413, 422 (they do not fit)."""
    # Rarely needed, so not imported at start.
    import jsonpatch
    import jsonpointer

    if not isinstance(operations, list):
        raise errors.bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
        )
    if len(operations) > MAX_OPERATIONS:
        words = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        raise errors.StatusError(413, "RequestEntityTooLarge", words, {})
    try:
        patched = jsonpatch.apply_patch(target, operations)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, AttributeError, KeyError):
        raise errors.unprocessable() from None
    if not isinstance(patched, dict):
        raise errors.unprocessable()
    return patched
