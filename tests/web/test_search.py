"""Search over the course."""

from __future__ import annotations

import pytest
from markupsafe import Markup
from tests.web.samples import Visitor

from meshdojo.web.search import Entry, plain, search

WEIGHTS = f"Weights, weights and again weights. {'filler ' * 60}subset at the end"
PLACES = [
    Entry("/labs/a", "A", "Split the traffic", "A weight counts requests."),
    Entry(
        "/labs/a#weights",
        "A",
        "Why weights",
        "Weights, weights and again weights. " + "filler " * 60 + "subset at the end",
    ),
    Entry("/labs/b", "B", "Something else", "Nothing <of> interest"),
]


def test_every_word_must_be_there_and_titles_count_most() -> None:
    assert [hit.address for hit in search(PLACES, "weight")] == ["/labs/a#weights", "/labs/a"]
    assert [hit.address for hit in search(PLACES, "WEIGHT requ")] == ["/labs/a"]
    assert search(PLACES, "weight nowhere") == []
    assert search(PLACES, "  ..  ") == []
    assert search(PLACES, "eight") == []  # words are found from their beginning


def test_words_are_marked_and_the_text_is_escaped() -> None:
    hit = search(PLACES, "interest")[0]
    assert hit.excerpt == Markup("Nothing &lt;of&gt; <mark>interest</mark>")
    assert search(PLACES, "split")[0].title == Markup("<mark>Split</mark> the traffic")


def test_the_excerpt_is_around_the_first_word() -> None:
    excerpt = str(search(PLACES, "subset")[0].excerpt)
    assert excerpt.startswith("… filler")
    assert "<mark>subset</mark> at the end" in excerpt
    assert len(excerpt) < 300


def test_the_source_of_a_diagram_is_no_text() -> None:
    figure = '<figure class="diagram" data-title="A way"><pre>flowchart LR</pre></figure>'
    assert plain(f"<p>before</p>{figure}<p>after</p>") == "before after"


def test_words_of_html() -> None:
    assert plain("<p>One &amp; two</p><button>Copy</button><p>three</p>") == "One & two three"


@pytest.mark.anyio
async def test_the_page_finds_sections_tasks_and_terms(visitor: Visitor) -> None:
    page = (await visitor.http.get("/search", params={"q": "replica count"})).text
    assert 'href="/labs/split#why-weights"' in page
    page = (await visitor.http.get("/search", params={"q": "bring dark"})).text
    assert 'href="/labs/split#task-dark"' in page
    page = (await visitor.http.get("/search", params={"q": "demonstration"})).text
    assert 'href="/glossary#demo"' in page
    fragment = (await visitor.http.get("/search", params={"q": "<script>"}, headers={"X-Fragment": "1"})).text
    assert "<html" not in fragment
    assert "<script>" not in fragment


@pytest.mark.anyio
async def test_hints_and_answers_are_not_given_away(visitor: Visitor) -> None:
    assert "Nothing found" in (await visitor.http.get("/search", params={"q": "tells the two apart"})).text


@pytest.mark.anyio
async def test_the_glossary_explains_and_chapters_lead_to_it(visitor: Visitor) -> None:
    glossary = (await visitor.http.get("/glossary")).text
    assert 'id="demo"' in glossary
    assert "A <em>demonstration</em>." in glossary
    chapter = (await visitor.http.get("/labs/split")).text
    assert chapter.count('href="/glossary#replica"') == 1  # only where the chapter first has it
    assert 'data-definition="A copy of a pod."' in chapter
