"""CEL rules, beyond those of the recorded cases."""

from __future__ import annotations

from typing import Any

import pytest

from meshdojo.kubernetes.schema.rules import check_rules


def failures(rule: dict[str, Any], value: Any, **more: Any) -> list[tuple[str, str]]:
    causes = check_rules({"x-kubernetes-validations": [rule]}, value, path="spec", **more)
    return [(cause.field, cause.body) for cause in causes]


def test_a_rule_without_message_names_itself() -> None:
    assert failures({"rule": "self > 3"}, 1) == [("spec", 'Invalid value: "integer": failed rule: self > 3')]


def test_message_expression_and_field_path() -> None:
    rule = {"rule": "self.a < 3", "messageExpression": "'found ' + string(self.a)", "fieldPath": ".a"}
    assert failures(rule, {"a": 7}) == [("spec.a", 'Invalid value: "object": found 7')]


def test_transition_rules_need_an_old_value() -> None:
    rule = {"rule": "self == oldSelf", "message": "fixed"}
    assert failures(rule, 1) == []
    assert failures(rule, 1, old=1) == []
    assert failures(rule, 1, old=2) == [("spec", 'Invalid value: "integer": fixed')]


def test_transition_rules_in_a_map_list_go_by_key() -> None:
    items = {"x-kubernetes-validations": [{"rule": "self.v == oldSelf.v", "message": "fixed"}]}
    schema = {
        "type": "array",
        "items": items,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    }
    old = [{"name": "a", "v": 1}, {"name": "b", "v": 2}]
    new = [{"name": "b", "v": 2}, {"name": "a", "v": 3}, {"name": "c", "v": 4}]
    assert [cause.field for cause in check_rules(schema, new, old, "l")] == ["l[1]"]


def test_a_rule_that_cannot_be_evaluated_says_why() -> None:
    rule = {"rule": "duration(self) >= duration('1ms')", "message": "must be a valid duration greater than 1ms"}
    words = "type conversion error from 'string' to 'google.protobuf.Duration' evaluating rule: "
    assert failures(rule, "bogus") == [("spec", f'Invalid value: "string": {words}{rule["message"]}')]
    assert failures(rule, "2s") == []


@pytest.mark.parametrize(
    ("url", "holds"),
    [("http://a/b", True), ("oci://x/y", False), ("https://", False)],
)
def test_urls(url: str, holds: bool) -> None:
    rule = {"rule": "isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHost() != ''"}
    assert (failures(rule, url) == []) is holds


def test_strings_of_the_extension_library() -> None:
    assert failures({"rule": "self.substring(7, 8) == '/' && self.split('/').size() == 4"}, "unix:///x") == []
