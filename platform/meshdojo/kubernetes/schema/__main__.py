"""Write the cache of Kubernetes types, so that the first start of the API server need not: ``make install`` does."""

from __future__ import annotations

from meshdojo.kubernetes.schema.cache import warm

if __name__ == "__main__":
    warm()
