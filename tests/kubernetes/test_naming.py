"""Definitions of one group that ask for the same names. The words are those of a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest

from meshdojo.kubernetes.api import Api
from meshdojo.kubernetes.errors import StatusError

T = TypeVar("T")
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
GOOD = ("True NoConflicts no conflicts found", "True InitialNamesAccepted the initial names have been accepted")
WAITING = "False NotAccepted not all names are accepted"


def run(awaitable: Awaitable[T]) -> T:
    async def wait() -> T:
        return await asyncio.wait_for(awaitable, 30)

    return asyncio.run(wait())


def definition(plural: str, singular: str, kind: str, *short: str, group: str = "names.test") -> dict[str, Any]:
    names = {"plural": plural, "singular": singular, "kind": kind, "shortNames": list(short)}
    schema = {"openAPIV3Schema": {"type": "object"}}
    versions = [{"name": "v1", "served": True, "storage": True, "schema": schema}]
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": versions}
    return {"metadata": {"name": f"{plural}.{group}"}, "spec": spec}


def conditions(crd: dict[str, Any]) -> tuple[str, ...]:
    return tuple(f"{one['status']} {one['reason']} {one['message']}" for one in crd["status"]["conditions"])


def change(api: Api, crd: dict[str, Any]) -> dict[str, Any]:
    return run(api.patch(CRDS, crd["metadata"]["name"], {"spec": crd["spec"]}))


def test_a_definition_whose_names_are_free_is_served(api: Api) -> None:
    one = run(api.create(CRDS, definition("ones", "one", "One", "o")))

    assert conditions(one) == GOOD
    assert one["status"]["acceptedNames"]["shortNames"] == ["o"]
    assert "finalizers" not in one["metadata"]
    assert api.catalogue.by_name("ones.names.test") is not None


@pytest.mark.parametrize(
    ("names", "told", "missing"),
    [
        (("twos", "one", "Two", "t"), 'SingularConflict "one" is already in use', {"singular"}),
        (("twos", "o", "Two", "t"), 'SingularConflict "o" is already in use', {"singular"}),
        (("twos", "two", "Two", "o", "t"), 'ShortNamesConflict "o" is already in use', {"shortNames"}),
        (
            ("twos", "two", "Two", "o", "one", "t"),
            'ShortNamesConflict ["o" is already in use, "one" is already in use]',
            {"shortNames"},
        ),
        (("twos", "two", "One", "t"), 'ListKindConflict "OneList" is already in use', {"listKind"}),
        (("twos", "two", "OneList", "t"), 'KindConflict "OneList" is already in use', set()),
    ],
)
def test_a_name_that_another_has_is_refused(api: Api, names: tuple[str, ...], told: str, missing: set[str]) -> None:
    run(api.create(CRDS, definition("ones", "one", "One", "o")))
    two = run(api.create(CRDS, definition(*names)))

    assert conditions(two) == (f"False {told}", WAITING)
    given = two["status"]["acceptedNames"]
    assert {"plural", "singular", "kind", "listKind", "shortNames"} - given.keys() == missing
    assert (given["kind"] == "") == (names[2] != "Two")
    assert api.catalogue.by_name("twos.names.test") is None


def test_another_group_has_names_of_its_own(api: Api) -> None:
    run(api.create(CRDS, definition("ones", "one", "One", "o")))
    assert conditions(run(api.create(CRDS, definition("ones", "one", "One", "o", group="other.test")))) == GOOD


def test_what_is_served_goes_on_under_its_names_when_others_are_refused(api: Api) -> None:
    run(api.create(CRDS, definition("ones", "one", "One", "o")))
    run(api.create(CRDS, definition("twos", "two", "Two")))

    refused = change(api, definition("twos", "one", "Two"))
    served = api.catalogue.by_name("twos.names.test")

    assert conditions(refused) == ('False SingularConflict "one" is already in use', GOOD[1])
    assert served is not None
    assert served.singular == "two"


def test_names_that_are_given_back_go_to_who_waits_the_longest(api: Api) -> None:
    run(api.create(CRDS, definition("ones", "one", "One", "o")))
    run(api.create(CRDS, definition("threes", "three", "Three", "o")))
    run(api.create(CRDS, definition("twos", "two", "Two", "o", "three")))

    run(api.delete(CRDS, "ones.names.test"))
    three, two = (run(api.get(CRDS, f"{plural}.names.test")) for plural in ("threes", "twos"))

    assert conditions(three) == GOOD
    assert api.catalogue.by_name("threes.names.test") is not None
    assert conditions(two) == (
        'False ShortNamesConflict ["o" is already in use, "three" is already in use]',
        WAITING,
    )

    assert conditions(change(api, definition("twos", "two", "Two"))) == GOOD
    assert api.catalogue.by_name("twos.names.test") is not None


def test_nothing_is_made_of_a_kind_that_is_not_served(api: Api) -> None:
    run(api.create(CRDS, definition("ones", "one", "One")))
    run(api.create(CRDS, definition("twos", "two", "One")))
    with pytest.raises(StatusError) as caught:
        run(api.create("twos.names.test", {"metadata": {"name": "x"}}, "default"))
    assert caught.value.code == 404


def test_a_definition_with_objects_goes_with_the_last_of_them(api: Api) -> None:
    run(api.create(CRDS, definition("ones", "one", "One")))
    run(api.create("ones.names.test", {"metadata": {"name": "x", "finalizers": ["a.b/c"]}}, "default"))

    run(api.delete(CRDS, "ones.names.test"))
    kept = run(api.get(CRDS, "ones.names.test"))
    run(api.patch("ones.names.test", "x", {"metadata": {"finalizers": None}}, "default"))

    assert kept["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    with pytest.raises(StatusError):
        run(api.get(CRDS, "ones.names.test"))
