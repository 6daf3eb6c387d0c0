"""What is said of a patch that makes no object of the kind (words measured on a real API server)."""

from __future__ import annotations

import pytest

from meshdojo.kubernetes.patches.strategic import consumed, conversion_error


@pytest.mark.parametrize(
    ("decoder", "converter"),
    [
        (
            "json: cannot unmarshal string into Go struct field X.spec.replicas of type int32",
            "unrecognized type: int32",
        ),
        ("json: cannot unmarshal number into Go struct field X.data of type string", "cannot convert int64 to string"),
        (
            "json: cannot unmarshal number into Go struct field X.ports of type []v1.ContainerPort",
            "cannot restore slice from int64",
        ),
        (
            "json: cannot unmarshal string into Go struct field X.labels of type map[string]string",
            "cannot restore map from string",
        ),
        ('strict decoding error: unknown field "spec.x"', 'strict decoding error: unknown field "spec.x"'),
    ],
)
def test_the_conversion_has_words_of_its_own(decoder: str, converter: str) -> None:
    assert conversion_error(decoder) == converter


def test_lists_with_directives_are_gone_from_a_consumed_patch() -> None:
    patch = {"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "a"}], "x": None}}

    assert consumed(patch) == {"spec": {"x": None}}
