"""Text to safe HTML: Markdown through markdown-it and then nh3, code through Pygments."""

from __future__ import annotations

import re
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup, escape
from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
from pygments.token import Token as Pygment  # type: ignore[import-untyped]
from pygments.util import ClassNotFound  # type: ignore[import-untyped]

TAGS = {
    *("a", "abbr", "aside", "b", "blockquote", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em"),
    *("h2", "h3", "h4", "hr", "i", "img", "kbd", "li", "ol", "p", "pre", "s", "span", "strong", "sub", "summary"),
    *("sup", "table", "tbody", "td", "th", "thead", "tr", "ul"),
}
ATTRIBUTES = {
    "a": {"href", "title"},
    "abbr": {"title"},
    "img": {"src", "alt", "title", "width", "height"},
    "ol": {"start"},
    "th": {"scope"},
    **{heading: {"id"} for heading in ("h2", "h3", "h4")},
}
# Few colours read better than many: what is a key, a text, a number, a remark.
_CLASSES: tuple[tuple[Any, str], ...] = (
    (Pygment.Comment, "t-remark"),
    (Pygment.Literal.String, "t-text"),
    (Pygment.Literal.Number, "t-number"),
    (Pygment.Keyword, "t-key"),
    (Pygment.Name.Tag, "t-key"),
    (Pygment.Name.Variable, "t-number"),
    (Pygment.Generic.Deleted, "t-deleted"),
    (Pygment.Generic.Inserted, "t-inserted"),
)

_HEREDOC = re.compile(
    r"<<-?\s*(['\"]?)(?P<end>YAML|EOF)\1[^\n]*\n(?P<yaml>.*?\n)(?=(?P=end)$)", re.DOTALL | re.MULTILINE
)

_inline = MarkdownIt("commonmark", {"html": False}).enable("strikethrough")


def safe(html: str) -> Markup:
    """HTML with everything taken out that is not plain text formatting: scripts, styles, handlers, foreign schemes."""
    return Markup(  # noqa: S704 - this is where it becomes safe
        nh3.clean(
            html,
            tags=TAGS,
            attributes=ATTRIBUTES,
            url_schemes={"http", "https", "mailto"},
            link_rel="noopener noreferrer",
        )
    )


def inline(text: str) -> Markup:
    """One line of Markdown (a title, a quiz choice) as safe HTML without a paragraph around it."""
    return safe(_inline.renderInline(text))


def highlight(code: str, language: str) -> Markup:
    """Code with its tokens in spans; an unknown language is shown plain. YAML inside a shell's heredoc is YAML."""
    if language == "bash" and (match := _HEREDOC.search(code)):
        before, inside, after = code[: match.start("yaml")], match["yaml"], code[match.end("yaml") :]
        return _highlight(before, "bash") + _highlight(inside, "yaml") + highlight(after, "bash")
    return _highlight(code, language)


def _highlight(code: str, language: str) -> Markup:
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return escape(code)
    return Markup("").join(_span(kind, value) for kind, value in lexer.get_tokens(code))


def _span(kind: Any, value: str) -> Markup:
    name = next((name for family, name in _CLASSES if kind in family), "")
    return Markup('<span class="{}">{}</span>').format(name, value) if name else escape(value)
