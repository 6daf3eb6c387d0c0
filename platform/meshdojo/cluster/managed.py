"""Which namespaces meshdojo made: the label on them."""

from __future__ import annotations

# Set on every namespace that meshdojo makes. Nothing without it is ever deleted.
MANAGED_LABEL = "app.kubernetes.io/managed-by"
MANAGED_VALUE = "meshdojo"
