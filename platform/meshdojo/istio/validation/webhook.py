"""The validating webhook ``validation.istio.io``: an AdmissionReview in, an AdmissionReview out."""

from __future__ import annotations

from typing import Any

from meshdojo.istio.validation.check import check

JSON = dict[str, Any]


def review(admission_review: JSON) -> JSON:
    """The answer to an AdmissionReview (admission.k8s.io/v1) of an object of one of Istio's kinds.

    Nothing is raised: what cannot be read is refused with the reason.
    """
    request = admission_review.get("request") or {}
    found = check(_named(request))
    response: JSON = {"uid": request.get("uid", ""), "allowed": not found.errors}
    if found.errors:
        message = f"configuration is invalid: {found.text()}"
        response["status"] = {"status": "Failure", "message": message, "code": 400}
    if found.warnings:
        response["warnings"] = found.warnings
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def _named(request: JSON) -> JSON:
    """The object, with the namespace of the request where its metadata leaves it out."""
    obj: JSON = request.get("object") or {}
    metadata = obj.get("metadata") or {}
    namespace = metadata.get("namespace") or request.get("namespace") or ""
    return {**obj, "metadata": {**metadata, "namespace": namespace}}
