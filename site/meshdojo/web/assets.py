"""The built front end: from a name that templates use ('main.js') to the hashed file under ``static/dist``."""

from __future__ import annotations

import json
from pathlib import Path

from meshdojo.errors import UserError

DIST = Path(__file__).parent / "static" / "dist"


class AssetsMissing(UserError):
    """The front end has not been built; the message says how to build it."""


class Assets:
    """The manifest that ``site/build.py`` wrote. Raises `AssetsMissing` where there is none."""

    def __init__(self, directory: Path = DIST) -> None:
        self.directory = directory
        try:
            self._files: dict[str, str] = json.loads((directory / "manifest.json").read_text())
        except FileNotFoundError:
            raise AssetsMissing(
                f"{directory}: the front end has not been built. Run `make install` (or `python site/build.py`)."
            ) from None

    def url(self, name: str) -> str:
        """Where the browser finds the asset; it may be kept forever, as another content has another name.

        Raises `AssetsMissing` for a name that was not built.
        """
        try:
            return f"/static/dist/{self._files[name]}"
        except KeyError:
            known = ", ".join(sorted(self._files))
            raise AssetsMissing(f"{name}: not in the built front end, which has {known}; build it again") from None
