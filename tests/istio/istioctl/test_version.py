from __future__ import annotations

from meshdojo.istio.istioctl.version import _counted


def test_proxies_by_version() -> None:
    assert _counted([]) == "none"
    assert _counted([{"IstioVersion": "1.31"}]) == "1.31 (1 proxy)"
    mixed = [{"IstioVersion": "1.31"}, {"IstioVersion": "1.30"}, {"IstioVersion": "1.31"}]
    assert _counted(mixed) == "1.30 (1 proxy), 1.31 (2 proxies)"
