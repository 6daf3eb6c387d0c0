"""Checks of probes and lifecycle handlers."""

from __future__ import annotations

from collections.abc import Iterator

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.errors import FieldError
from meshdojo.kubernetes.schema.validation.basics import (
    check_choice,
    check_not_negative,
    check_port,
    check_required,
)

_COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")


def check_probe(path: str, probe: Object, *, once: bool) -> Iterator[FieldError]:
    """A probe; `once` for liveness and startup probes, which need only one success."""
    yield from check_handler(path, probe)
    for name in _COUNTS:
        yield from check_not_negative(f"{path}.{name}", probe.get(name))
    if once and probe.get("successThreshold", 1) != 1:
        yield FieldError.invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1")


def check_handler(path: str, handler: Object) -> Iterator[FieldError]:
    """Exactly one of exec, httpGet, tcpSocket, grpc, sleep."""
    chosen = [name for name in _HANDLERS if handler.get(name) is not None]
    if not chosen:
        yield FieldError.required(path, "must specify a handler type")
    for position, name in enumerate(chosen):
        if position:
            yield FieldError.forbidden(f"{path}.{name}", "may not specify more than 1 handler type")
        else:
            yield from _check_action(f"{path}.{name}", name, handler[name])


def _check_action(path: str, kind: str, action: Object) -> Iterator[FieldError]:
    if kind == "exec":
        yield from check_required(f"{path}.command", action.get("command"))
    elif kind == "httpGet":
        yield from check_required(f"{path}.path", action.get("path"))
        yield from check_port(f"{path}.port", action.get("port", 0))
        yield from check_choice(f"{path}.scheme", action.get("scheme"), ("HTTP", "HTTPS"))
    elif kind in ("tcpSocket", "grpc"):
        yield from check_port(f"{path}.port", action.get("port", 0))
