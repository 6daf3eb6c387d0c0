"""Which Kubernetes this API server claims to be: what ``kubectl version`` shows (version.Info of apimachinery)."""

from __future__ import annotations

from meshdojo.cluster.client import Object

VERSION: Object = {
    "major": "1",
    "minor": "34",
    "gitVersion": "v1.34.4+meshdojo",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
