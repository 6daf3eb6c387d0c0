"""A lab of the course as a chapter that can be shown: its Markdown as safe HTML, its fences as blocks with buttons.

The Markdown is sanitised as a whole. What we draw ourselves (commands with copy buttons, diagrams, folds) must not pass
through the sanitiser, so the renderer leaves a placeholder with an unguessable name, which is replaced afterwards.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from jinja2 import Environment
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape

from meshdojo.course.lab import Lab
from meshdojo.course.markdown import QUIZ, TASK_PREFIX, WHY
from meshdojo.course.markdown import Question as CourseQuestion
from meshdojo.course.markdown import Section as CourseSection
from meshdojo.web.markup import highlight, inline, safe
from meshdojo.web.views import Chapter, Code, Definition, Diagram, Question, Section, TaskText

_SUMMARY = re.compile(r"<details[^>]*>\s*<summary>(.*?)</summary>", re.DOTALL)
_LAB_LINK = re.compile(r"(?:\.\./)?\d\d-([a-z][a-z0-9-]*)/(?:lab\.md)?(#.*)?")
_OWN_DETAILS = re.compile(rf"Hint \d|{WHY}|Answer")


def read_chapter(lab: Lab, templates: Environment, glossary: Sequence[Definition] = ()) -> Chapter:
    """The chapter of a lab; words of the glossary lead there from where the chapter first uses them."""
    writer = Writer(templates, glossary)
    parts: list[Section | TaskText] = []
    tasks = 0
    for section in lab.sections:
        if section.task:
            tasks += 1
            parts.append(_task(section, tasks, writer))
        elif section.title != QUIZ:
            parts.append(Section(slug(section.title), section.title, writer.html(section.markdown)))
    return Chapter(
        name=lab.id,
        number=int(lab.folder.name[:2]),
        title=lab.front.title,
        description=lab.front.description,
        minutes=lab.front.time,
        difficulty=lab.front.difficulty,
        objectives=tuple(inline(objective) for objective in lab.front.objectives),
        parts=tuple(parts),
        questions=tuple(_question(question, number, writer) for number, question in enumerate(lab.questions, 1)),
    )


def _task(section: CourseSection, number: int, writer: Writer) -> TaskText:
    task = section.task
    assert task is not None
    return TaskText(
        id=task.id,
        number=number,
        title=section.title.removeprefix(TASK_PREFIX).strip(),
        html=writer.html(section.markdown),
        hints=tuple(writer.html(hint) for hint in task.hints),
        why=writer.html(task.why) if task.why else Markup(),
    )


def _question(question: CourseQuestion, number: int, writer: Writer) -> Question:
    """Choices count from 1 in the course, and from 0 on the page."""
    return Question(
        id=slug(question.text),
        number=number,
        prompt=inline(question.text),
        choices=tuple(inline(choice) for choice in question.choices),
        correct=frozenset(choice - 1 for choice in question.right),
        explanation=writer.html(question.explanation),
    )


def slug(text: str) -> str:
    """An id for a heading: 'Why a mesh?' -> 'why-a-mesh'."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:80]


@dataclass
class _Page:
    """One rendering: the blocks of ours, by the name of their placeholder."""

    nonce: str = field(default_factory=lambda: secrets.token_hex(8))
    blocks: list[Markup] = field(default_factory=list)

    def keep(self, block: Markup) -> str:
        self.blocks.append(block)
        return f"<pre>{self.nonce}-{len(self.blocks) - 1}</pre>\n"

    def keep_inline(self, block: Markup) -> str:
        self.blocks.append(block)
        return f"<span>{self.nonce}-{len(self.blocks) - 1}</span>"

    def put_back(self, html: Markup) -> Markup:
        pattern = rf"<(pre|span)>{self.nonce}-(\d+)</\1>"
        found = re.sub(pattern, lambda match: self.blocks[int(match[2])], str(html))
        return Markup(found)  # noqa: S704 - sanitised text and blocks of our own templates


class _Renderer(RendererHTML):
    """markdown-it's renderer, with fences and folds of our own; ``env["page"]`` is the `_Page`."""

    macros: Any

    def fence(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        page: _Page = env["page"]
        token = tokens[idx]
        language = token.info.split(maxsplit=1)[0] if token.info.strip() else "text"
        if language == "output":
            # Shown with the command before it, if that stands right there.
            return "" if _is_command(tokens, idx - 1) else page.keep(self._code(Code(escape(token.content), "Output")))
        if language == "mermaid":
            return page.keep(self.macros.diagram(Diagram(token.content, _title(token.content))))
        return page.keep(self._code(_code(token, language, tokens, idx)))

    def html_block(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """The only HTML of a chapter: comments, which vanish, and folds."""
        page: _Page = env["page"]
        if match := _SUMMARY.search(tokens[idx].content):
            return page.keep(self.macros.fold(inline(match[1].strip())))
        return page.keep(Markup("</div></details>")) if "</details>" in tokens[idx].content else ""

    def html_inline(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return "" if tokens[idx].content.startswith("<!--") else str(escape(tokens[idx].content))

    def term(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """A word of the glossary."""
        page: _Page = env["page"]
        return page.keep_inline(self.macros.term(tokens[idx].content, tokens[idx].meta["definition"]))

    def _code(self, block: Code) -> Markup:
        html: Markup = self.macros.code(block)
        return html


class Writer:
    """Turns a chapter's Markdown into safe HTML."""

    def __init__(self, templates: Environment, glossary: Sequence[Definition] = ()) -> None:
        self._terms = _Terms(glossary)
        self._markdown = MarkdownIt("commonmark", renderer_cls=_Renderer).enable(["table", "strikethrough"])
        renderer = self._markdown.renderer
        assert isinstance(renderer, _Renderer)
        renderer.macros = templates.get_template("parts/macros.html").module

    def html(self, text: str) -> Markup:
        """Markdown as HTML, without the hints, answers and explanations that the page shows in their own way."""
        page = _Page()
        tokens = _without_own_details(self._markdown.parse(text))
        _prepare(tokens)
        self._terms.mark(tokens)
        html = self._markdown.renderer.render(tokens, self._markdown.options, {"page": page})
        return page.put_back(safe(html))


class _Terms:
    """Marks the words of the glossary in a chapter: each once, in running text, never inside a link."""

    def __init__(self, glossary: Sequence[Definition]) -> None:
        self._known = {form.lower(): term for term in glossary for form in term.forms}
        forms = sorted(self._known, key=len, reverse=True)
        self._pattern = re.compile(rf"(?<![\w/-])(?:{'|'.join(map(re.escape, forms))})(?![\w/-])", re.IGNORECASE)
        self._used: set[str] = set()

    def mark(self, tokens: list[Token]) -> None:
        """Turn the first use of each word into a token of its own."""
        if not self._known:
            return
        for before, token in pairwise(tokens):
            if token.type == "inline" and before.type == "paragraph_open":
                token.children = self._inline(token.children or [])

    def _inline(self, children: list[Token]) -> list[Token]:
        found: list[Token] = []
        links = 0
        for child in children:
            links += (child.type == "link_open") - (child.type == "link_close")
            found += self._text(child) if child.type == "text" and not links else [child]
        return found

    def _text(self, token: Token) -> list[Token]:
        found: list[Token] = []
        at = 0
        for match in self._pattern.finditer(token.content):
            term = self._known[match[0].lower()]
            if term.id in self._used:
                continue
            self._used.add(term.id)
            found += [_copy(token, token.content[at : match.start()]), Token("term", "", 0, content=match[0])]
            found[-1].meta = {"definition": term}
            at = match.end()
        return [*found, _copy(token, token.content[at:])] if found else [token]


def _copy(token: Token, text: str) -> Token:
    return Token("text", "", 0, content=text, level=token.level)


def _without_own_details(tokens: list[Token]) -> list[Token]:
    kept: list[Token] = []
    skipping = False
    for token in tokens:
        if token.type == "html_block":
            summary = _SUMMARY.search(token.content)
            skipping = skipping or bool(summary and _OWN_DETAILS.match(summary[1].strip()))
            if skipping:
                skipping = "</details>" not in token.content
                continue
        if not skipping:
            kept.append(token)
    return kept


def _prepare(tokens: list[Token]) -> None:
    """Headings get ids, and links between chapters lead to their pages."""
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", slug(tokens[index + 1].content))
        for child in token.children or ():
            if child.type == "link_open" and (match := _LAB_LINK.fullmatch(str(child.attrGet("href") or ""))):
                child.attrSet("href", f"/labs/{match[1]}{match[2] or ''}")


def _is_command(tokens: Sequence[Token], index: int) -> bool:
    return index >= 0 and tokens[index].type == "fence" and tokens[index].info.startswith("bash")


def _code(token: Token, language: str, tokens: Sequence[Token], idx: int) -> Code:
    text = token.content
    code = highlight(text.rstrip("\n"), language)
    if language != "bash":
        return Code(code, {"yaml": "YAML", "json": "JSON", "http": "HTTP"}.get(language, language.capitalize()), text)
    following = tokens[idx + 1] if idx + 1 < len(tokens) else token
    output = following.content if following.type == "fence" and following.info.startswith("output") else None
    caption = "Run in your terminal"
    if re.search(r"\bexit=\d", token.info):
        caption += " (an error is expected)"
    return Code(code, caption, text, command=True, output=output)


def _title(source: str) -> str:
    """What mermaid's accessible title says, or what kind of diagram it is."""
    if match := re.search(r"^\s*accTitle\s*:\s*(.+)$", source, re.MULTILINE):
        return f"Diagram: {match[1].strip()}"
    return "Sequence diagram" if source.lstrip().startswith("sequenceDiagram") else "Diagram"
