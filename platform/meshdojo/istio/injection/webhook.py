"""The mutating webhook ``sidecar-injector.istio.io``: an AdmissionReview in, an AdmissionReview out."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

from meshdojo.istio.injection.config import InjectionConfig
from meshdojo.istio.injection.decision import required
from meshdojo.istio.injection.inject import CannotInject, inject, warnings
from meshdojo.istio.models.proxy_config import ProxyConfig

JSON = dict[str, Any]


def review(admission_review: JSON, config: InjectionConfig, proxy_configs: Iterable[ProxyConfig] = ()) -> JSON:
    """The answer to an AdmissionReview (admission.k8s.io/v1) of a new pod: a JSON patch, or nothing to change.

    A pod that cannot be injected is refused, its message saying why; nothing is raised.
    """
    request = admission_review.get("request") or {}
    pod, namespace = request.get("object") or {}, request.get("namespace") or ""
    if not required(pod, namespace, config):
        return _answer(request, {})
    try:
        injected = inject(pod, namespace, config, proxy_configs)
    except CannotInject as error:
        return _answer(request, {"allowed": False, "status": {"message": f"failed to run injection template: {error}"}})
    change: JSON = {"patchType": "JSONPatch", "patch": _encoded(patch(pod, injected))}
    notes = warnings(pod)
    return _answer(request, change | ({"warnings": notes} if notes else {}))


def patch(before: JSON, after: JSON) -> list[JSON]:
    """JSON patch (RFC 6902) from one pod to the other: whole fields of metadata and spec."""
    operations: list[JSON] = []
    for part in ("metadata", "spec"):
        old, new = before.get(part), after[part]
        if old is None:
            operations.append({"op": "add", "path": f"/{part}", "value": new})
            continue
        operations += [_operation(part, key, value) for key, value in new.items() if old.get(key) != value]
        operations += [{"op": "remove", "path": f"/{part}/{key}"} for key in old if key not in new]
    return operations


def _operation(part: str, key: str, value: Any) -> JSON:
    return {"op": "add", "path": f"/{part}/{key}", "value": value}


def _encoded(operations: list[JSON]) -> str:
    return base64.b64encode(json.dumps(operations).encode()).decode()


def _answer(request: JSON, result: JSON) -> JSON:
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": request.get("uid", ""), "allowed": True, **result},
    }
