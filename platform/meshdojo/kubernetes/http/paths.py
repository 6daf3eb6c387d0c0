"""What a URL path of the API means.

Source: k8s.io/apiserver/pkg/endpoints/request/requestinfo.go.
"""

from __future__ import annotations

from dataclasses import dataclass

_NAMESPACE_SUBRESOURCES = ("status", "finalize")


@dataclass(frozen=True)
class ResourcePath:
    """``/apis/GROUP/VERSION[/namespaces/NAMESPACE]/PLURAL[/NAME[/SUBRESOURCE[/REST]]]``.

    `namespace` is None where the path has none. `plural` is '' for the group version itself.
    """

    group: str
    version: str
    namespace: str | None = None
    plural: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""

    @classmethod
    def parse(cls, path: str) -> ResourcePath | None:
        """None when the path is not below a group version."""
        parts = path.strip("/").split("/")
        if parts[0] == "api" and len(parts) > 1:
            return cls._below("", parts[1], parts[2:])
        if parts[0] == "apis" and len(parts) > 2:
            return cls._below(parts[1], parts[2], parts[3:])
        return None

    @classmethod
    def _below(cls, group: str, version: str, parts: list[str]) -> ResourcePath:
        namespace = None
        if parts[:1] == ["namespaces"] and len(parts) > 2 and parts[2] not in _NAMESPACE_SUBRESOURCES:
            namespace, parts = parts[1], parts[2:]
        plural, name, subresource = (*parts[:3], "", "", "")[:3]
        return cls(group, version, namespace, plural, name, subresource, "/".join(parts[3:]))
