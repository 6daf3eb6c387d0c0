import shutil
from typing import Any

import pytest

from meshdojo.course.course import load_course
from meshdojo.course.errors import CourseError, NoSuch


def test_labs_come_by_weight(content: Any) -> None:
    other = content.folder.parent / "20-other"
    shutil.copytree(content.folder, other)
    for name in ("lab.md", "right/otherwise.md", "wrong/not-done.md"):
        content.write(f"labs/20-other/{name}", (other / name).read_text().replace("demo.", "other."))
    content.change("labs/20-other/lab.md", "weight: 10", "weight: 5")
    course = load_course(content.root)
    assert [lab.id for lab in course.labs] == ["other", "demo"]
    assert course.lab("20-other") is course.lab("other")


def test_two_labs_cannot_have_one_weight_or_one_name(content: Any) -> None:
    shutil.copytree(content.folder, content.folder.parent / "20-demo")
    with pytest.raises(CourseError, match="weight 10 is also that of"):
        load_course(content.root)
    content.change("labs/20-demo/lab.md", "weight: 10", "weight: 20")
    with pytest.raises(CourseError, match="two labs with the name 'demo'"):
        load_course(content.root)


def test_an_unknown_lab_is_answered_with_the_known_ones(content: Any) -> None:
    course = load_course(content.root)
    with pytest.raises(NoSuch, match="there is no lab 'nosuch'; there are: demo"):
        course.lab("nosuch")
    with pytest.raises(NoSuch, match="there is no task in the lab 'demo' with the name 'nosuch'; there are: do"):
        course.lab("demo").task("nosuch")


def test_the_courses_own_labs_are_sound() -> None:
    course = load_course()
    lab = course.lab("canary")
    assert [task.id for task in lab.tasks] == ["dark", "canary", "callers", "promote", "sticky"]
    assert len(lab.wrong) >= 3
    assert lab.namespaces() == ("fleet",)
    assert all(
        namespace["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "meshdojo"
        for namespace in lab.manifests()
        if namespace["kind"] == "Namespace"
    )
