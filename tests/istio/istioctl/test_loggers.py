from __future__ import annotations

import pytest

from meshdojo.istio.istioctl.command import CommandError
from meshdojo.istio.istioctl.proxyconfig.loggers import changes, paths

KNOWN = "active loggers:\n  admin: warning\n  http: warning\n  rbac: warning\n"


@pytest.mark.parametrize(
    ("wanted", "reset", "asked"),
    [
        ("", False, ["logging"]),
        ("debug", False, ["logging?level=debug"]),
        ("http:debug,rbac:trace", False, ["logging?http=debug", "logging?rbac=trace"]),
        ("rbac=trace,level:info", False, ["logging?level=info", "logging?rbac=trace"]),
        ("http:debug,error", False, ["logging?level=error"]),
        ("pod::http:debug", False, ["logging?http=debug"]),
        ("", True, ["logging?level=warning"]),
    ],
)
def test_what_envoy_is_asked_for(wanted: str, reset: bool, asked: list[str]) -> None:
    assert paths(changes(wanted, reset, KNOWN)) == asked


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("loud", "unrecognized logging level: loud"),
        ("http:loud", "unrecognized logging level: loud"),
        ("foo:debug", "unrecognized logger name: foo"),
    ],
)
def test_mistakes(wanted: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        changes(wanted, False, KNOWN)
