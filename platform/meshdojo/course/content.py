"""Where `labs/` and `apps/` are: in a checkout beside `platform/`, in an installed wheel inside the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path

# hatchling's force-include puts labs/ and apps/ there (pyproject.toml).
PACKAGED = "_content"


@cache
def content_root() -> Path:
    """The folder that holds `labs/` and `apps/`. Raises FileNotFoundError in a broken installation."""
    package = Path(__file__).parents[1]
    for root in (package.parents[1], package / PACKAGED):
        if (root / "labs").is_dir() and (root / "apps").is_dir():
            return root
    raise FileNotFoundError(
        f"the course is missing: neither {package.parents[1]} nor {package / PACKAGED} has labs/ and apps/. "
        "Install meshdojo again, from a wheel or a whole checkout."
    )
