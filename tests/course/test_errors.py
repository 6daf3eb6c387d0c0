from pathlib import Path

from meshdojo.course.errors import CourseError, found


def test_an_error_starts_with_the_place_as_a_person_would_name_it() -> None:
    assert str(CourseError(Path("/some/where/labs/03-canary/lab.md"), 7, "bad")) == "labs/03-canary/lab.md:7: bad"
    assert str(CourseError(Path("/some/where/lab.md"), 0, "bad")) == "/some/where/lab.md: bad"


def test_found_names_what_was_found_and_what_is_allowed() -> None:
    assert found("colour", "red", ["blue", "green"], "Paint it.") == (
        "colour: found 'red'; allowed: blue, green. Paint it."
    )
