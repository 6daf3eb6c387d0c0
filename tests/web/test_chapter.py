"""A lab's Markdown as a page: safe, and with the blocks of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import Environment

from meshdojo.course.lab import load_lab
from meshdojo.web.assets import Assets
from meshdojo.web.chapter import Writer, read_chapter, slug
from meshdojo.web.pages.site import environment
from meshdojo.web.views import Chapter, Section, TaskText


@pytest.fixture
def templates() -> Environment:
    return environment(Assets(), "meshdojo {}".format)


@pytest.fixture
def chapter(content: Path, templates: Environment) -> Chapter:
    return read_chapter(load_lab(content / "labs" / "10-split"), templates)


@pytest.fixture
def writer(templates: Environment) -> Writer:
    return Writer(templates)


def test_the_parts_in_order(chapter: Chapter) -> None:
    kinds = [(type(part), part.id) for part in chapter.parts]
    assert kinds == [
        (Section, ""),
        (Section, "why-weights"),
        (TaskText, "dark"),
        (TaskText, "tenth"),
        (Section, "in-production"),
    ]
    assert [heading.id for heading in chapter.outline] == [
        "why-weights",
        "task-dark",
        "task-tenth",
        "in-production",
        "quiz",
    ]
    assert (chapter.number, chapter.minutes, chapter.difficulty) == (10, 25, "beginner")
    assert chapter.objectives[0] == "tell a <em>subset</em> from a Deployment"


def test_hints_and_explanations_are_apart_from_the_text(chapter: Chapter) -> None:
    dark = chapter.tasks[0]
    assert len(dark.hints) == 3
    assert "Which label" in dark.hints[0]
    assert "Subsets only <em>name</em> groups" in dark.why
    for apart in ("Which label", "Subsets only", "task: dark", "Hint 1"):
        assert apart not in dark.html


def test_the_quiz_counts_from_zero_and_keeps_the_answer_back(chapter: Chapter) -> None:
    first, second = chapter.questions
    assert (first.correct, first.multiple) == (frozenset({1}), False)
    assert (second.correct, second.multiple) == (frozenset({0, 1}), True)
    assert "counts requests" in first.explanation
    assert len(first.choices) == 3


def test_commands_have_a_button_and_their_output_folded_below(chapter: Chapter) -> None:
    html = chapter.tasks[0].html
    assert 'data-copy="kubectl apply -f - &lt;&lt;EOF\nkind: DestinationRule\nEOF\n"' in html
    assert html.count("Expected output</summary>") == 1
    assert "destinationrule.networking.istio.io/web created" in html
    assert "an error is expected" in chapter.tasks[1].html


def test_a_fence_inside_a_list_stays_there(chapter: Chapter) -> None:
    html = chapter.tasks[1].html
    assert html.index("<ol>") < html.index("curl -sf") < html.index("</ol>")


def test_the_page_has_no_script_whatever_the_chapter_says(writer: Writer) -> None:
    html = writer.html(
        "<script>alert(1)</script>\n\nA <b onclick='x()'>b</b> [link](javascript:alert(1))"
        " ![i](javascript:alert(2)) [data](data:text/html,x)\n\n<img src=x onerror=alert(1)>\n\n"
        "<details><summary><img src=x onerror=alert(3)></summary>\n\n</details>\n\n"
        '```text\n</code></pre><script>alert(4)</script>\n```\n\n```mermaid\nflowchart LR\na["</figure><script>"]\n```'
    )
    for bad in ("<script", "<img", "<b ", "href="):
        assert bad not in html, bad
    assert "&lt;script&gt;alert(4)" in html


def test_text_cannot_pass_for_a_block_of_ours(writer: Writer) -> None:
    html = writer.html("    0-0\n\n<pre>0-0</pre>\n\n```text\nreal\n```\n")
    assert html.count("<figure") == 1


def test_links_between_chapters_lead_to_their_pages(writer: Writer) -> None:
    html = writer.html("[a](../04-dark/lab.md) [b](../04-dark/lab.md#task) [c](https://istio.io/) [d](04-dark/)")
    assert 'href="/labs/dark"' in html
    assert 'href="/labs/dark#task"' in html
    assert 'href="https://istio.io/" rel="noopener noreferrer"' in html


def test_folds_that_are_not_hints_stay(writer: Writer) -> None:
    html = writer.html("<details>\n<summary>More `here`</summary>\n\nInside *it*.\n\n</details>\n\nAfter.")
    assert "<span>More <code>here</code></span>" in html
    assert html.index("Inside <em>it</em>") < html.index("</details>") < html.index("After.")


def test_comments_vanish(writer: Writer) -> None:
    assert "secret" not in writer.html("A <!-- secret --> b\n\n<!-- secret\nx: y\n-->\n\nc")


def test_diagrams_are_named(writer: Writer) -> None:
    assert 'data-title="Diagram: two versions"' in writer.html(
        "```mermaid\nflowchart LR\naccTitle: two versions\na-->b\n```"
    )
    assert 'data-title="Sequence diagram"' in writer.html("```mermaid\nsequenceDiagram\na->>b: c\n```")


@pytest.mark.parametrize(("text", "expected"), [("Why a mesh?", "why-a-mesh"), ("", ""), ("`kind: Pod`!", "kind-pod")])
def test_slugs(text: str, expected: str) -> None:
    assert slug(text) == expected
