from __future__ import annotations

from meshdojo.istio.validation.findings import Findings


def test_one_error_stands_alone() -> None:
    found = Findings()
    found.refuse("weight -1 < 0")
    assert found.text() == "weight -1 < 0"


def test_one_error_of_a_list_is_listed() -> None:
    found = Findings()
    found.refuse("attempts cannot be negative", listed=True)
    assert found.text() == "1 error occurred:\n\t* attempts cannot be negative\n\n"


def test_several_errors_are_listed() -> None:
    found = Findings()
    found.refuse_all(["a", "b"])
    found.refuse_if(False, "c")
    assert found.text() == "2 errors occurred:\n\t* a\n\t* b\n\n"
