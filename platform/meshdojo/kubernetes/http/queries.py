"""Query parameters and bodies that say how to do something (meta/v1 *Options)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from meshdojo.cluster.client import Propagation
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.requests import DeleteOptions, FieldValidation, Options, User

_VALIDATIONS = ("", "Ignore", "Strict", "Warn")
_PROPAGATIONS = ("Foreground", "Background", "Orphan")
_MAX_MANAGER = 128


def flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean parameter: whatever it says is true, but for "false" and "0". Source: runtime/converter.go."""
    value = query.get(name)
    return value is not None and value.lower() not in ("false", "0")


def number(query: Mapping[str, str], name: str) -> int | None:
    """An integer parameter, None when absent or empty. Raises StatusError 400."""
    value = query.get(name)
    if not value:
        return None
    try:
        return int(value)
    except ValueError:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{value}": invalid syntax') from None


def write_options(query: Mapping[str, str], user: User, user_agent: str, kind: str) -> Options:
    """CreateOptions, UpdateOptions or PatchOptions (`kind`). Raises StatusError 400, 422."""
    problems = []
    if query.get("dryRun") not in (None, "", "All"):
        problems.append(FieldError.unsupported("dryRun", [query["dryRun"]], ["All"]))
    validation = query.get("fieldValidation", "")
    if validation not in _VALIDATIONS:
        problems.append(FieldError.unsupported("fieldValidation", validation, _VALIDATIONS))
    manager = query.get("fieldManager", "")
    if len(manager) > _MAX_MANAGER:
        problems.append(FieldError("fieldManager", "FieldValueTooLong", "Too long: may not be more than 128 bytes"))
    if problems:
        raise errors.invalid("meta.k8s.io", kind, "", problems)
    return Options(
        user=user,
        dry_run=bool(query.get("dryRun")),
        field_validation=cast(FieldValidation, validation or "Warn"),
        # Without a name of its own a client is known by the first part of its User-Agent.
        field_manager=manager or user_agent.partition("/")[0] or "unknown",
        force=flag(query, "force"),
    )


def delete_options(query: Mapping[str, str], body: Any) -> tuple[DeleteOptions, bool]:
    """(DeleteOptions from the body if it has any, else from the query; dry run?). Raises StatusError 400, 422."""
    body = body if isinstance(body, dict) and body else _from_query(query)
    preconditions = body.get("preconditions") or {}
    propagation = body.get("propagationPolicy")
    if body.get("orphanDependents") is not None:
        propagation = "Orphan" if body["orphanDependents"] else "Background"
    grace = body.get("gracePeriodSeconds")
    problems = []
    dry_run = body.get("dryRun") or []
    dry_run = [dry_run] if isinstance(dry_run, str) else dry_run
    if dry_run not in ([], ["All"]):
        problems.append(FieldError.unsupported("dryRun", dry_run, ["All"]))
    if propagation not in (None, *_PROPAGATIONS):
        problems.append(FieldError.unsupported("propagationPolicy", propagation, [*_PROPAGATIONS, "nil"]))
    if grace is not None and not isinstance(grace, int):
        problems.append(FieldError.invalid("gracePeriodSeconds", grace, "must be an integer"))
    if problems:
        raise errors.invalid("meta.k8s.io", "DeleteOptions", "", problems)
    how = DeleteOptions(
        cast(Propagation | None, propagation),
        grace,
        preconditions.get("uid"),
        preconditions.get("resourceVersion"),
    )
    return how, bool(dry_run)


def _from_query(query: Mapping[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {
        "gracePeriodSeconds": number(query, "gracePeriodSeconds"),
        "propagationPolicy": query.get("propagationPolicy") or None,
        "dryRun": query.get("dryRun"),
    }
    if "orphanDependents" in query:
        options["orphanDependents"] = flag(query, "orphanDependents")
    return options
