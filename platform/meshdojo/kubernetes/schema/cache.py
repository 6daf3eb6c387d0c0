"""The types of the built-in kinds, generated once per client version and kept in a file of the user's cache.

The file is ``$XDG_CACHE_HOME/meshdojo/kubernetes-types-VERSION-N.json`` (``~/.cache`` without the variable). It is
only a cache: when it is missing, unreadable or cannot be written, the types are generated in memory.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from meshdojo.kubernetes.resources import Catalogue

# Raise it whenever the generator or its facts produce something else.
GENERATOR_VERSION = 4

_BESIDE_THE_CATALOGUE = (
    *("V1Scale", "V1Eviction", "V1Binding", "AuthenticationV1TokenRequest", "V1DeleteOptions"),
    "V1Status",
)
_MODELS = {
    ("", "v1", "Event"): "CoreV1Event",
    ("events.k8s.io", "v1", "Event"): "EventsV1Event",
    ("authentication.k8s.io", "v1", "TokenRequest"): "AuthenticationV1TokenRequest",
}


def model_of(group: str, version: str, kind: str) -> str:
    """The client's model class for a built-in kind: apps/v1 Deployment -> V1Deployment."""
    return _MODELS.get((group, version, kind)) or f"{version[0].upper()}{version[1:]}{kind}"


class ClientMissingError(Exception):
    """The ``kubernetes`` client is not installed, or says no version."""


def _client_package() -> Path:
    """The client's folder, found without importing it."""
    spec = find_spec("kubernetes")
    if spec is None or not spec.submodule_search_locations:
        raise ClientMissingError("the Python package 'kubernetes' is not installed; run: make install")
    return Path(spec.submodule_search_locations[0])


def client_version() -> str:
    """The version of the installed client. Raises ClientMissingError."""
    source = _client_package() / "__init__.py"
    found = re.search(r'^__version__ = "([^"]+)"', source.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ClientMissingError(f"{source} names no __version__; run: make install")
    return found[1]


def cache_file() -> Path:
    """Where the types of the installed client are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    name = f"kubernetes-types-{client_version()}-{GENERATOR_VERSION}.json"
    return Path(base) / "meshdojo" / name


@cache
def load() -> dict[str, Any]:
    """The document of `generator.generate`: from the cache file, else generated (about a second) and kept."""
    try:
        document: dict[str, Any] = orjson.loads(cache_file().read_bytes())
    except (OSError, orjson.JSONDecodeError):
        document = _generate()
        # A read-only home must not keep the API server from starting.
        with contextlib.suppress(OSError):
            _write(document, cache_file())
    return document


def warm() -> None:
    """Make sure that the cache file exists and is that of the installed client."""
    load()


def _generate() -> dict[str, Any]:
    # Only needed where the cache file is missing.
    from meshdojo.kubernetes.schema import generator

    roots = [model_of(r.group, r.version, r.kind) for r in Catalogue.builtin()]
    return generator.generate(_client_package(), [*roots, *_BESIDE_THE_CATALOGUE])


def _write(document: dict[str, Any], path: Path) -> None:
    """Atomically: a reader sees the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(orjson.dumps(document))
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
