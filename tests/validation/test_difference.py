from __future__ import annotations

from dataclasses import replace

from meshdojo.validation.difference import Difference, differences
from meshdojo.validation.state import Key, Pod, State

WEB = Key("services", "fleet", "web")
POD = Pod("fleet", "web-1", "uid-1", "Deployment/web", ("istio-proxy", "web"), True, True, "print")
START = State({WEB: {"spec": {"port": 80}}}, (POD,), frozenset(), {}, "istiod-1")


def said(now: State) -> list[str]:
    return [str(one) for one in differences(START, now)]


def test_nothing_differs_from_itself() -> None:
    assert differences(START, START) == []


def test_objects_are_added_changed_or_missing() -> None:
    assert said(replace(START, objects={WEB: {"spec": {"port": 81}}})) == ["changed: services fleet/web"]
    more = {**START.objects, Key("namespaces", "", "mine"): {}}
    assert said(replace(START, objects=more)) == ["added: namespaces mine"]
    assert said(replace(START, objects={})) == ["missing: services fleet/web"]


def test_what_appears_by_itself_is_nobodys_work() -> None:
    own = {**START.objects, Key("configmaps", "fleet", "istio-ca-root-cert"): {"data": {}}}
    assert said(replace(START, objects=own)) == []


def test_a_change_is_shown_line_by_line() -> None:
    [change] = differences(START, replace(START, objects={WEB: {"spec": {"port": 81}}}))
    assert change.lines() == ["@@ -1,2 +1,2 @@", " spec:", "-  port: 80", "+  port: 81"]
    assert Difference("added", WEB, None, {}).lines() == []


def test_pods_are_new_missing_changed_or_of_an_istio_that_is_gone() -> None:
    assert said(replace(START, pods=(replace(POD, uid="uid-2", name="web-2"),))) == [
        "added: pods fleet/web-2 (a new pod)",
        "missing: pods fleet/web-1",
    ]
    assert said(replace(START, pods=(replace(POD, fingerprint="other"),))) == [
        "changed: pods fleet/web-1 (relabelled, changed or restarted since)"
    ]
    assert said(replace(START, istiod="istiod-2")) == [
        "changed: pods fleet/web-1 (its sidecar belongs to an Istio that was removed)"
    ]
    assert said(replace(START, pods=(replace(POD, ready=False),))) == []
