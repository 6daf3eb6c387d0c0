"""Lists, whole and page by page.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

import orjson

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.api import Api, parse_revision
from meshdojo.kubernetes.conversion import to_version
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.http.queries import number
from meshdojo.kubernetes.resources import Resource
from meshdojo.kubernetes.selectors import predicate
from meshdojo.kubernetes.store import Key, key_of

_TOKEN_VERSION = "meta.k8s.io/v1"  # noqa: S105 - no password


def list_objects(api: Api, resource: Resource, namespace: str | None, query: Mapping[str, str]) -> Object:
    """The list object (PodList, ...) that this query asks for.

    Raises StatusError 400 (selectors, tokens), 410 (the snapshot of a token is gone), 422, 504 (from the future).
    """
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    wanted = predicate(resource, labels, fields)
    limit = number(query, "limit") or 0
    token = query.get("continue", "")
    revision, after = _read_token(token) if token else (_revision(api, query), None)
    stored = _stored(api, resource, namespace, revision, exact=not token)
    objects = [obj for obj in (to_version(obj, resource) for obj in stored) if wanted(obj)]
    rest = [obj for obj in objects if after is None or key_of(obj) > after]
    page = rest[:limit] if limit > 0 else rest
    metadata: Object = {"resourceVersion": str(revision)}
    if len(page) < len(rest):
        metadata["continue"] = _write_token(revision, key_of(page[-1]))
        if not labels and not fields:
            metadata["remainingItemCount"] = len(rest) - len(page)
    return {"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": metadata, "items": page}


def _stored(api: Api, resource: Resource, namespace: str | None, revision: int, *, exact: bool) -> list[Object]:
    try:
        return api.store.list(resource.storage, namespace, at=revision)
    except errors.StatusError as error:
        raise (errors.list_expired() if exact and error.code == errors.GONE else error) from None


def _revision(api: Api, query: Mapping[str, str]) -> int:
    """The revision to list at: the present one, unless an exact one is asked for."""
    wanted = query.get("resourceVersion", "")
    match = query.get("resourceVersionMatch", "")
    _check_match(wanted, match)
    requested = parse_revision(wanted, "invalid resource version: ") if wanted else 0
    if requested > api.store.revision:
        raise errors.too_large(requested, api.store.revision)
    return requested if match == "Exact" else api.store.revision


def _check_match(revision: str, match: str) -> None:
    problem = None
    if match and match not in ("Exact", "NotOlderThan"):
        problem = FieldError.unsupported("resourceVersionMatch", match, ["Exact", "NotOlderThan", ""])
    elif match and not revision:
        words = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        problem = FieldError.forbidden("resourceVersionMatch", words)
    elif match == "Exact" and revision == "0":
        words = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        problem = FieldError.forbidden("resourceVersionMatch", words)
    if problem:
        raise errors.invalid("meta.k8s.io", "ListOptions", "", [problem])


def _write_token(revision: int, last: Key) -> str:
    token = {"v": _TOKEN_VERSION, "rv": revision, "start": list(last)}
    return base64.urlsafe_b64encode(orjson.dumps(token)).rstrip(b"=").decode()


def _read_token(text: str) -> tuple[int, Key]:
    try:
        token = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        namespace, name = token["start"]
        if token["v"] == _TOKEN_VERSION and isinstance(namespace, str) and isinstance(name, str):
            return int(token["rv"]), (namespace, name)
    except (ValueError, binascii.Error, KeyError, TypeError):
        pass
    words = "illegal base64 data or an unknown version"
    raise errors.bad_request(f"invalid continue token: continue key is not valid: {words}")
