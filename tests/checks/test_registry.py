import pytest

from meshdojo.checks import registry
from meshdojo.checks.registry import UnknownCheck, all_checks, check, find


def test_the_labs_checks_are_found() -> None:
    assert [found.id for found in find(["canary.hidden", "canary.share"])] == ["canary.hidden", "canary.share"]
    assert all(found.title and found.id.startswith(f"{found.lab}.") for found in all_checks().values())


def test_an_unknown_check_is_answered_with_those_of_its_lab() -> None:
    with pytest.raises(UnknownCheck, match=r"'canary\.nosuch' does not exist; checks of 'canary': canary\.callers"):
        find(["canary.nosuch"])
    with pytest.raises(UnknownCheck, match="checks of 'nosuch': none"):
        find(["nosuch.at-all"])


def test_a_name_is_given_once() -> None:
    all_checks()
    with pytest.raises(ValueError, match=r"two checks are named 'canary\.hidden'"):
        check("canary.hidden", title="Again")(registry.all_checks()["canary.hidden"].judge)
    assert registry.all_checks()["canary.hidden"].judge is not None
