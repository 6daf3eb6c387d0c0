"""``istioctl x check-inject``: the words of a real cluster, for the webhooks as the installation makes them."""

from __future__ import annotations

from typing import Any

import pytest

from meshdojo.istio.install.options import load
from meshdojo.istio.install.webhooks import manifests
from meshdojo.istio.istioctl.check_inject import Answer, answers, lines, verdict
from meshdojo.istio.istioctl.main import main

ENABLED, DISABLED = {"istio-injection": "enabled"}, {"istio-injection": "disabled"}
DEFAULT, UNKNOWN = {"istio.io/rev": "default"}, {"istio.io/rev": "nosuch"}
YES, NO = {"sidecar.istio.io/inject": "true"}, {"sidecar.istio.io/inject": "false"}
NOTHING = (
    "No matching namespace labels (istio.io/rev=default, istio-injection=enabled) "
    "or pod labels (istio.io/rev=default, sidecar.istio.io/inject=true)"
)


def injectors() -> list[dict[str, Any]]:
    return [one for one in manifests(load()) if one["kind"] == "MutatingWebhookConfiguration"]


# Namespace labels, pod labels, what `istioctl x check-inject` printed on a real cluster.
@pytest.mark.parametrize(
    ("namespace", "pod", "injected", "reason"),
    [
        ({}, {}, False, NOTHING),
        (UNKNOWN, {}, False, NOTHING),
        (UNKNOWN, DEFAULT, False, NOTHING),
        (ENABLED, {"app": "web"}, True, "Namespace label istio-injection=enabled matches"),
        (ENABLED | UNKNOWN, {}, True, "Namespace label istio-injection=enabled matches"),
        (DEFAULT, {}, True, "Namespace label istio.io/rev=default matches"),
        (ENABLED, NO, False, "Pod has sidecar.istio.io/inject=false label, preventing injection"),
        (
            *(ENABLED, YES, True),
            "Namespace label istio-injection=enabled matches, and pod label sidecar.istio.io/inject=true matches",
        ),
        (DISABLED, {}, False, "Namespace has istio-injection=disabled label, preventing injection"),
        ({}, YES, True, "Pod label sidecar.istio.io/inject=true matches"),
        ({}, DEFAULT, True, "Pod label istio.io/rev=default matches"),
        ({}, UNKNOWN, False, "Pod has istio.io/rev=nosuch label, preventing injection"),
    ],
)
def test_the_reason(namespace: dict[str, str], pod: dict[str, str], injected: bool, reason: str) -> None:
    tag, own = answers(injectors(), pod, namespace)
    assert (tag.name, tag.revision, tag.injected, tag.reason) == (
        *("istio-revision-tag-default", "default", injected),
        reason,
    )
    assert own.reason == "The injection webhook is deactivated, and will never match labels."
    assert not own.injected


def test_no_webhook_has_no_reason_but_that() -> None:
    assert verdict([], {}, {}) == (False, "No matching namespace labels () or pod labels ()")


def test_the_table_is_as_wide_as_the_real_one() -> None:
    assert lines([Answer("istio-revision-tag-default", "default", False, "Because.")]) == [
        "WEBHOOK                     REVISION  INJECTED      REASON",
        "istio-revision-tag-default  default   \x1b[31m✘\x1b[0m             Because.",
    ]


@pytest.mark.parametrize("argv", [[], ["a", "b"]])
def test_it_wants_one_thing_to_look_at(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["x", "check-inject", *argv]) == 1
    assert "check-inject requires only" in capsys.readouterr().err
