"""Secrets: stringData is a way to write data, never stored."""

from __future__ import annotations

import base64

from meshdojo.cluster.client import Object
from meshdojo.kubernetes.strategies.strategy import Strategy


class SecretStrategy(Strategy):
    """Source: pkg/apis/core/v1/conversion.go (stringData overrides data)."""

    def prepare_create(self, obj: Object) -> Object:
        """Fold stringData into data."""
        return _folded(obj)

    def prepare_update(self, new: Object, old: Object) -> Object:
        """Fold stringData into data."""
        return _folded(super().prepare_update(new, old))


def _folded(secret: Object) -> Object:
    text = secret.get("stringData")
    if not text:
        return secret
    data = {key: base64.b64encode(value.encode()).decode() for key, value in text.items()}
    rest = {key: value for key, value in secret.items() if key != "stringData"}
    return {**rest, "data": {**(secret.get("data") or {}), **data}}
