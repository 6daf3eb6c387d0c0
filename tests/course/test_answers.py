from __future__ import annotations

from meshdojo.course.answers import without_answers
from meshdojo.course.course import load_course

CHAPTER = """# Demo

## Task: One

Do it.

<details>
<summary>Hint 1: a nudge</summary>

```html
</details>
```

Think.

</details>

<details>
<summary>Hint 2: a direction</summary>

## Not a section

</details>

````text
```
<details>
````

## Quiz

### What?

<details>
<summary>Answer</summary>

**1.**

</details>

## Clean up

Bye.
"""


def test_hints_and_quiz_are_left_out_and_listings_stay() -> None:
    assert without_answers(CHAPTER) == (
        "# Demo\n\n## Task: One\n\nDo it.\n\n````text\n```\n<details>\n````\n\n## Clean up\n\nBye.\n"
    )


def test_no_chapter_keeps_an_answer() -> None:
    for lab in load_course().labs:
        text = without_answers((lab.folder / "lab.md").read_text(encoding="utf-8"))
        assert "Hint" not in text
        assert "## Quiz" not in text
        for task in lab.tasks:
            assert f"<!-- task: {task.id}" in text
