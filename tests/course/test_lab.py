from typing import Any

import pytest

from meshdojo.course.errors import CourseError
from meshdojo.course.lab import load_lab

LAB = "labs/10-demo/lab.md"
RIGHT = "labs/10-demo/right/otherwise.md"
WRONG = "labs/10-demo/wrong/not-done.md"


def test_a_lab_is_read_whole(content: Any) -> None:
    content.write("labs/10-demo/manifests/extra.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: extra}\n")
    lab = load_lab(content.folder)
    assert (lab.id, lab.title, lab.front.weight, lab.front.needs) == ("demo", "Demo", 10, ("istio", "fleet"))
    assert [section.title for section in lab.sections] == ["", "Task: Do it", "Quiz"]
    assert lab.namespaces() == ("fleet", "extra")
    [right] = lab.right
    assert (right.name, right.front.task, len(right.fences)) == ("otherwise", "do", 1)
    [wrong] = lab.wrong
    assert (wrong.name, wrong.front.fails, len(wrong.fences)) == ("not-done", "demo.done", 1)


def test_a_task(content: Any) -> None:
    [task] = load_lab(content.folder).tasks
    assert (task.id, task.title, task.checks) == ("do", "Do it", ("demo.done", "demo.well"))
    assert task.hints == ("Think.", "Think harder.", "```bash\ntouch done\n```")
    assert task.why == "Because."
    lines = (content.root / LAB).read_text().splitlines()
    assert lines[task.solved_at - 1] == "</details>"
    assert "touch done" in "\n".join(lines[: task.solved_at])
    assert "Why this works" not in "\n".join(lines[: task.solved_at])


def test_a_question(content: Any) -> None:
    [question] = load_lab(content.folder).questions
    assert (question.text, question.choices) == ("Is it done?", ("Yes", "No, *never*"))
    assert (question.right, question.explanation) == (frozenset({1}), "It is.")


def test_commands_have_their_lines(content: Any) -> None:
    lab = load_lab(content.folder)
    lines = (content.root / LAB).read_text().splitlines()
    fences = [fence for section in lab.sections for fence in section.fences]
    assert [fence.code for fence in fences] == ["echo hi\n", "touch done\n"]
    assert [lines[fence.line - 1] for fence in fences] == ["```bash", "```bash"]
    assert fences[0].expected is not None
    assert fences[0].expected.text == "hi\n"


def test_sections_have_their_source(content: Any) -> None:
    task = load_lab(content.folder).sections[1]
    assert task.markdown.startswith("<!-- task: do")
    assert task.markdown.endswith("</details>")
    assert "Quiz" not in task.markdown


def test_an_object_of_the_labs_own_takes_the_place_of_the_bases(content: Any) -> None:
    base = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: fleet}, data: {who: base}}"
    content.write("labs/base/50-more.yaml", f"{base}\n---\n{base.replace('name: a', 'name: b')}")
    content.write("labs/10-demo/manifests/10-own.yaml", base.replace("who: base", "who: lab"))
    maps = [obj for obj in load_lab(content.folder).manifests() if obj["kind"] == "ConfigMap"]
    assert [(obj["metadata"]["name"], obj["data"]["who"]) for obj in maps] == [("a", "lab"), ("b", "base")]


def test_numbers_as_keys_become_text_as_in_json(content: Any) -> None:
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ports}\ndata: {9090: a, on: b, since: 2026-01-01}\n"
    content.write("labs/10-demo/manifests/ports.yaml", manifest)
    [ports] = [obj for obj in load_lab(content.folder).manifests() if obj["metadata"]["name"] == "ports"]
    assert ports["data"] == {"9090": "a", "true": "b", "since": "2026-01-01"}


def test_without_the_fleet_only_the_labs_own_manifests_count(content: Any) -> None:
    content.change(LAB, "needs: [istio, fleet]", "needs: []")
    assert load_lab(content.folder).namespaces() == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# Demo", "# Other", "lab.md: the # heading 'Other' is not the front matter's title 'Demo'"),
        ("needs: [istio, fleet]", "needs: [helm]", "lab.md:8: entry 'needs': found 'helm'"),
        ("needs: [istio, fleet]", "needs: [istio, no-istio]", "lab.md:8: entry 'needs'"),
        ("needs: [istio, fleet]", "needs: [fleet, no-istio]", "fleet and no-istio do not go together"),
        ("needs: [istio, fleet]", "needs: [no-istio]", "it needs cluster-admin too"),
        ("difficulty: beginner", "difficulty: easy", "lab.md:6: entry 'difficulty': found 'easy'"),
        ("time: 5", "time: 0", "lab.md:5: entry 'time'"),
        ("time: 5", "time: 5\nprofile: demo", "lab.md:6: entry: found 'profile'"),
        ("<!-- task: do\nchecks: [demo.done, demo.well]\n-->\n", "", "a task without its comment"),
        ("checks: [demo.done, demo.well]", "checks: []", "entry 'checks'"),
        ("checks: [demo.done, demo.well]", "check: [demo.done]", "lab.md:26: entry: found 'check'"),
        ("demo.done, demo.well", "demo.done, other.well", "expected a name that starts with 'demo'."),
        ("demo.done, demo.well", "demo.done, well", "expected LAB.NAME"),
        ("Hint 2: a direction", "Hint 2: more", "found 'Hint 2: more'; allowed: Hint 2: a direction"),
        ("Hint 1: a nudge", "Hint", "found 'Hint'; allowed: Hint 1: a nudge"),
        ("Why this works", "Why", "found 0 explanations"),
        ("<summary>Hint 3: the answer</summary>", "<summary>Aside</summary>", "found 2 hints, expected three"),
        ("Think.\n\n</details>", "Think.\n", "a <details> inside a <details>"),
        ("Because.\n\n</details>", "Because.\n", "<details> without </details>"),
        ("**1.** It is.", "It is.", "the answer must start with a number from 1 to 2"),
        ("**1.** It is.", "**3.** It is.", "the answer must start with a number from 1 to 2"),
        ("2. No, *never*\n", "", "expected a numbered list of choices"),
        ("### Is it done?", "Is it done?", "a quiz without questions"),
        ("```bash\necho hi", "```\necho hi", "lab.md:15: language of a fenced block"),
        ("Do *it*.", "    indented code", "an indented code block"),
        ("## Task: Do it", "## Do it", "otherwise.md: a solution of a chapter without a task"),
    ],
)
def test_mistakes_are_named(content: Any, old: Any, new: Any, message: Any) -> None:
    content.change(LAB, old, new)
    with pytest.raises(CourseError) as caught:
        load_lab(content.folder)
    assert message in str(caught.value)


def test_a_task_that_is_there_twice(content: Any) -> None:
    text = (content.root / LAB).read_text()
    task = text[text.index("## Task") : text.index("## Quiz")]
    content.change(LAB, "## Quiz", f"{task}\n## Quiz")
    with pytest.raises(CourseError, match="task 'do' is there twice"):
        load_lab(content.folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("task: do", "task: think", "not-done.md:3: entry 'task': found 'think'; allowed: do"),
        ("fails: demo.done", "fails: demo.gone", "not-done.md:4: entry 'fails': found 'demo.gone'; allowed: demo.done"),
        ("fails: demo.done", "fails: demo.done\nafter: later", "not-done.md:5: entry 'after': found 'later'; allowed:"),
        ("fails: demo.done\n", "", "entry 'fails' is missing"),
        ("```bash\ntrue", "```text\ntrue", "a solution without commands"),
    ],
)
def test_mistakes_in_wrong_solutions_are_named(content: Any, old: Any, new: Any, message: Any) -> None:
    content.change(WRONG, old, new)
    with pytest.raises(CourseError) as caught:
        load_lab(content.folder)
    assert message in str(caught.value)
    assert "not-done.md" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("task: do", "task: think", "otherwise.md:3: entry 'task': found 'think'; allowed: do"),
        ("task: do", "task: do\nfails: demo.done", "otherwise.md:4: entry: found 'fails'; allowed: title, task, after"),
        ("task: do", "task: do\nafter: later", "otherwise.md:4: entry 'after': found 'later'; allowed: start, do"),
        ("task: do\n", "", "entry 'task' is missing"),
        ("```bash\ntrue", "```text\ntrue", "a solution without commands"),
    ],
)
def test_mistakes_in_right_solutions_are_named(content: Any, old: Any, new: Any, message: Any) -> None:
    content.change(RIGHT, old, new)
    with pytest.raises(CourseError) as caught:
        load_lab(content.folder)
    assert message in str(caught.value)


def test_a_chapter_without_a_task_is_read_without_solutions(content: Any) -> None:
    for name in (RIGHT, WRONG):
        (content.root / name).unlink()
    text = (content.root / LAB).read_text()
    content.change(LAB, text[text.index("## Task") : text.index("## Quiz")], "")
    lab = load_lab(content.folder)
    assert (lab.tasks, lab.right, lab.wrong) == ((), (), ())
    assert [len(section.fences) for section in lab.sections] == [1, 0]


@pytest.mark.parametrize("text", ["kind: Namespace\n", "[1, 2]\n", "a: b: c\n", "apiVersion: v1\nkind: X\nmetadata:\n"])
def test_broken_manifests_are_named(content: Any, text: Any) -> None:
    content.write("labs/10-demo/manifests/bad.yaml", text)
    with pytest.raises(CourseError, match=r"labs/10-demo/manifests/bad\.yaml"):
        load_lab(content.folder).manifests()


def test_a_folder_has_a_number_and_a_name(content: Any) -> None:
    with pytest.raises(CourseError, match="NN-name"):
        load_lab(content.folder.parent / "demo")
