"""Whatever a database holds, GitHub shows it as text: by a real Markdown parser, and by GitHub's own patterns."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from shadowdiff.render.formats import renderer_for
from shadowdiff.render.github import LONGEST, MOST_CHARACTERS, html_code, length, markdown, table
from shadowdiff.render.text import UNSAFE, clip, one_line
from shadowdiff.runs import RunConfig, Side
from tests.gate_cases import surroundings
from tests.render_cases import COSINE, Asked, entries, run_of, session_of

if TYPE_CHECKING:
    from markdown_it.token import Token

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
ZERO_WIDTH = "\u200b"
FRAGMENTS = [
    *"\\`*_{}[]()<>#+-.!|~&$:@=\"'/ \n\t\r\0\x1b\u200b\u202e\u2028",
    *("@everyone", "@org/team", "a@b.c", "#123", "GH-7", "org/repo#1", ":smile:", ":+1:", ":100:", "12:30:45"),
    *("http://x.y", "https://x.y/?a=b", "www.x.y", "ftp://x", "mailto:a@b.c", "<http://x.y>", "[x](http://y)"),
    *("![x](y)", "[^1]", "[x]: y", "<b>", "</summary>", "</details>", "<!--", "<script>", "&lt;", "&#64;x", "&nbsp;"),
    *("```", "~~x~~", "**x**", "__x__", "||", "| --- |", "---", "===", "1. x", "- [ ] x", "> x", "$x$", "$$", "\\"),
    *("日本語「」", "👩‍👩‍👧", "e\u0301", "\ud800", "%%", "{{7*7}}"),
]
HOSTILE = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=4)), max_size=12).map("".join)
OF_GITHUB = {
    "mention": r"@\w",
    "reference": r"#\d|\bGH-\d",
    "emoji": r":(?:[\w+-]*[a-z_][\w+-]*|100|1234|[+-]1):",
    "address": r"\w://|\bwww\.",
}
"""What GitHub looks for in the text that a Markdown parser leaves, a text node at a time."""


def inline(text: str) -> list[Token]:
    """What a paragraph, or the only cell of a table's only row, comes to."""
    (token,) = [token for token in PARSER.parse(text) if token.type == "inline"]
    return token.children or []


def read(tokens: list[Token]) -> str:
    """The text that a reader sees; fails on anything but text and the span around a dollar sign."""
    seen = []
    for token in tokens:
        if token.type == "html_inline":
            assert token.content in ("<span>", "</span>")
        else:
            assert token.type == "text", token
            seen.append(token.content)
    return "".join(seen)


def assert_plain(text: str) -> None:
    """GitHub finds nothing in it, and nothing acts on a terminal."""
    for name, pattern in OF_GITHUB.items():
        assert not re.search(pattern, text, re.IGNORECASE), name
    assert not UNSAFE.search(text.replace(ZERO_WIDTH, ""))


@settings(max_examples=400)
@given(HOSTILE)
def test_a_text_is_read_as_it_is(text: str) -> None:
    """In a paragraph: one line, every character there, and nothing else made of it."""
    tokens = inline(f"x {markdown(text)} x")
    expected = " ".join(f"x {clip(one_line(text), LONGEST)} x".split())
    assert " ".join(read(tokens).replace(ZERO_WIDTH, "").split()) == expected
    for token in tokens:
        assert_plain(token.content)


@settings(max_examples=200)
@given(HOSTILE, HOSTILE)
def test_a_text_stays_in_its_cell(one: str, other: str) -> None:
    """No pipe, line end or code span of one cell reaches into the next."""
    lines = table(("a", "b"), [(markdown(one), markdown(other)), ("1", "2")])
    tokens = PARSER.parse("\n".join(lines))
    assert [token.type for token in tokens if token.type in ("table_open", "tr_open")] == ["table_open"] + [
        "tr_open"
    ] * 3
    cells = [token for token in tokens if token.type == "inline"]
    seen = [read(cell.children or []).replace(ZERO_WIDTH, "") for cell in cells]
    assert seen == ["a", "b", one_line(one), one_line(other), "1", "2"]


@settings(max_examples=200)
@given(HOSTILE)
def test_a_text_in_html_stays_text(text: str) -> None:
    """Where Markdown is not read: no tag but the code around it, no line end."""
    found = html_code(text)
    assert "\n" not in found
    assert parsed_html(found) == (["code"], one_line(text))


def parsed_html(text: str) -> tuple[list[str], str]:
    """Names of the tags that are opened, and the text between them."""
    tags, seen = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert not attrs
            tags.append(tag)

        def handle_data(self, data: str) -> None:
            seen.append(data)

        def handle_comment(self, data: str) -> None:
            raise AssertionError(data)

    reader = Reader()
    reader.feed(text)
    reader.close()
    return tags, "".join(seen)


@settings(max_examples=25)
@given(st.lists(HOSTILE, min_size=4, max_size=4), HOSTILE, HOSTILE, HOSTILE, HOSTILE, st.booleans())
def test_a_whole_report_has_no_markup_but_our_own(
    titles: list[str], query: str, ids: str, reason: str, name: str, fails: bool
) -> None:
    """Hostile titles, queries, ids, reasons and names: the same blocks, rows and cells as with tame ones."""
    tame = _report([f"title {at}" for at in range(4)], "query", "id", "reason", "name", fails=fails)
    hostile = _report(titles, query, f"id {ids}", f"reason {reason}", f"name {name}", fails=fails)
    assert [token.type for token in PARSER.parse(hostile)] == [token.type for token in PARSER.parse(tame)]
    for token in PARSER.parse(hostile):
        if token.type == "html_block":
            assert set(parsed_html(token.content)[0]) <= {"details", "summary", "code"}
        for child in token.children or []:
            assert child.type in ("text", "strong_open", "strong_close", "html_inline", "softbreak"), child
            assert child.type != "html_inline" or child.content in ("<span>", "</span>", "<sub>", "</sub>")
            assert_plain(child.content)


def _report(titles: list[str], query: str, ids: str, reason: str, name: str, *, fails: bool) -> str:
    """A run of two turns in one session, with everything beside it; titles are told apart by their numbers."""
    numbered = [f"{at} {title}" for at, title in enumerate(titles)]
    pool = entries(numbered, "kb")
    a = [0.9, 0.8, 0.7, 0.6]
    turns = [
        Asked(query, pool, {"A": a, "B": reason if fails else [0.6, 0.7, 0.8, 0.9]}, search_query=f"searched {query}"),
        Asked(query, pool, {"A": a, "B": [0.8, 0.9, 0.7, 0.6]}),
    ]
    sides = (COSINE, Side("B", name, f"spec:{name}", "9e10aa01c7fd3b52"))
    run, outcomes = run_of([session_of(ids, f"org {ids}", turns, "AB")], sides, RunConfig(top_k=2))
    out = io.StringIO()
    renderer_for("markdown", surroundings=surroundings(run)).render(run, outcomes, out)
    return out.getvalue()


@pytest.mark.parametrize(("sessions", "turns", "top_k"), [(40, 2, 5), (2, 40, 5), (2, 2, 40)])
@pytest.mark.parametrize("character", ["$", "👩‍👩‍👧", "x"])
def test_a_report_fits_a_comment_whatever_comes(character: str, sessions: int, turns: int, top_k: int) -> None:
    """Many sessions, long sessions, long lists, with titles of what takes the most characters."""
    pool = entries([character * 100 + str(at) for at in range(top_k * 2)], "kb")
    scores = [1 - at / 100 for at in range(len(pool))]
    asked = Asked(character * 400, pool, {"A": scores, "B": scores[::-1]})
    replayed = [session_of(f"s{at} {character * 200}", "acme", [asked] * turns, "AB") for at in range(sessions)]
    run, outcomes = run_of(replayed, (COSINE, Side("B", character * 500, "x", "f")), RunConfig(top_k=top_k))
    out = io.StringIO()
    renderer_for("markdown", surroundings=surroundings(run)).render(run, outcomes, out)
    text = out.getvalue()
    assert length(text) < MOST_CHARACTERS
    shown = text.count("<summary>session")
    assert shown
    left_out = re.search(r"^(\d+) sessions? in which", text, re.MULTILINE)
    assert shown + (int(left_out[1]) if left_out else 0) == sessions
    assert len(list(_details(text))) == text.count("</details>")


def _details(text: str) -> Iterator[str]:
    """Folded blocks, each of which is closed before the next begins."""
    depth = 0
    for line in text.splitlines():
        depth += (line == "<details>") - (line == "</details>")
        assert depth in (0, 1)
        if line == "<details>":
            yield line
