from __future__ import annotations

from meshdojo.validation.difference import differences
from meshdojo.validation.record import Record
from meshdojo.validation.setup import known_before
from meshdojo.validation.state import Pod, State

POD = Pod("fleet", "web-1", "uid-1", "Deployment/web", ("istio-proxy", "web"), True, True, "print")
STATE = State({}, (POD,), frozenset(), {}, "istiod")
RECORD = Record("canary", STATE, {})


def test_pods_of_the_same_lab_may_stay() -> None:
    assert differences(known_before(RECORD, "canary"), STATE) == []


def test_pods_of_another_lab_are_replaced_as_their_logs_and_counters_tell_of_it() -> None:
    before = known_before(RECORD, "mtls")
    assert [str(one) for one in differences(before, STATE)] == [
        "changed: pods fleet/web-1 (relabelled, changed or restarted since)"
    ]
    # What a new one must look like is still known.
    assert before.pods[0].containers == POD.containers
