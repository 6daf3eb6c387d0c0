"""Search over the whole course: every section of every chapter, every task, and the glossary."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from meshdojo.web.views import Chapter, Definition, TaskText

MOST = 20
AROUND = 90
_TAG = re.compile(r"<[^>]+>")
_HIDDEN = re.compile(
    r'<button\b.*?</button>|<summary\b.*?</summary>|<svg\b.*?</svg>|<figure class="diagram".*?</figure>', re.DOTALL
)
_WORD = re.compile(r"[\w-]+")


@dataclass(frozen=True)
class Entry:
    """A place that can be found: where it is, what it is called, and its text."""

    address: str
    chapter: str
    title: str
    text: str


@dataclass(frozen=True)
class Hit:
    """A place that was found, with the words marked in a piece of its text."""

    address: str
    chapter: str
    title: Markup
    excerpt: Markup


def entries(chapters: Iterable[Chapter], glossary: Iterable[Definition] = ()) -> list[Entry]:
    """All places of the course, in its order; the glossary last."""
    found: list[Entry] = []
    for chapter in chapters:
        address = f"/labs/{chapter.name}"
        about = " ".join([chapter.description, *(plain(one) for one in chapter.objectives)])
        found.append(Entry(address, chapter.title, chapter.title, about))
        for part in chapter.parts:
            anchor = f"task-{part.id}" if isinstance(part, TaskText) else part.id
            title = part.title or chapter.title
            found.append(Entry(f"{address}#{anchor}" if anchor else address, chapter.title, title, plain(part.html)))
    found += [Entry(f"/glossary#{term.id}", "Glossary", term.name, plain(term.html)) for term in glossary]
    return found


def plain(text: str) -> str:
    """The words of some HTML, without its buttons and the sources of its diagrams."""
    return " ".join(html.unescape(_TAG.sub(" ", _HIDDEN.sub(" ", text))).split())


def search(places: Sequence[Entry], query: str) -> list[Hit]:
    """The places that have every word of the query (words may be cut short), the best first."""
    words = [word.lower() for word in _WORD.findall(query)][:8]
    if not words:
        return []
    scored = [(_score(place, words), -number, place) for number, place in enumerate(places)]
    best = sorted((one for one in scored if one[0]), reverse=True, key=lambda one: one[:2])[:MOST]
    return [_hit(place, words) for _, _, place in best]


def _score(place: Entry, words: Sequence[str]) -> float:
    title, text = place.title.lower(), place.text.lower()
    total = 0.0
    for word in words:
        begins = re.compile(rf"\b{re.escape(word)}")
        in_title, in_text = len(begins.findall(title)), len(begins.findall(text))
        if not in_title and not in_text:
            return 0.0
        whole = bool(re.search(rf"\b{re.escape(word)}\b", title))
        total += 8 * bool(in_title) + 8 * whole + min(in_text, 5)
    return total


def _hit(place: Entry, words: Sequence[str]) -> Hit:
    pattern = re.compile("|".join(rf"\b{re.escape(word)}\w*" for word in words), re.IGNORECASE)
    first = pattern.search(place.text)
    start = max(0, first.start() - AROUND) if first else 0
    if start:
        start = place.text.find(" ", start) + 1
    piece = place.text[start : start + 2 * AROUND + 40]
    if len(piece) < len(place.text) - start:
        piece = piece.rpartition(" ")[0] + " …"
    return Hit(
        place.address, place.chapter, _marked(place.title, pattern), _marked(("… " if start else "") + piece, pattern)
    )


def _marked(text: str, pattern: re.Pattern[str]) -> Markup:
    parts: list[Markup] = []
    at = 0
    for match in pattern.finditer(text):
        parts += [escape(text[at : match.start()]), Markup("<mark>{}</mark>").format(match[0])]
        at = match.end()
    return Markup("").join([*parts, escape(text[at:])])
