"""``python -m meshdojo.istio.istioctl``."""

from __future__ import annotations

import sys

from meshdojo.istio.istioctl.main import main

sys.exit(main(sys.argv[1:]))
