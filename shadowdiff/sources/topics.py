"""Queries of a collection, in the forms they come in: JSON Lines (BEIR), JSON (TREC CAsT, iKAT), tabs, `<top>` blocks.

The form is read off the file's first character, whatever the file is called.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from shadowdiff.errors import BundleError
from shadowdiff.sources.grouping import Topic
from shadowdiff.sources.lines import BYTE_ORDER_MARK, Line, Unique, json_items, json_lines, text_lines, whole_text

ID_KEYS = ("_id", "id", "number", "qid", "query_id")
TURN_KEYS = ("number", "turn_id")
QUERY_KEYS = ("raw_utterance", "utterance", "text", "query", "question", "title")
REWRITTEN_KEYS = ("manual_rewritten_utterance", "resolved_utterance")
"""By hand: what the collection itself says that the user meant."""

BLOCK = re.compile(r"<(top|topic)\b([^>]*)>(.*?)</\1\s*>", re.DOTALL | re.IGNORECASE)
OPENED = re.compile(r"<(?:top|topic)\b[^>]*>", re.IGNORECASE)
NUMBERED = re.compile(r"""\b(?:number|id)\s*=\s*["']([^"']*)["']""", re.IGNORECASE)
FIELD = re.compile(r"<(num|title|query)\s*>(?:\s*(?:number|topic)\s*:)?(.*?)(?=</?[a-z]|\Z)", re.DOTALL | re.IGNORECASE)


def read_topics(path: Path) -> list[Topic]:
    """Every query of the file, ids unique. Raises BundleError with file, line and reason."""
    readers = {"[": _from_json, "{": _from_json_lines, "<": _from_blocks}
    reader = readers.get(first_character(path), _from_tabs)
    unique = Unique("query")
    topics: list[Topic] = []
    for topic in reader(path):
        unique.check(topic.line, repr(topic.turn_id), topic.turn_id)
        topics.append(topic)
    if not topics:
        raise BundleError(f"{path.name}: holds no query")
    return topics


def first_character(path: Path) -> str:
    """The first that is neither white space nor a byte order mark; empty in an empty file."""
    for line in text_lines(path):
        return unmarked(line).lstrip()[:1]
    return ""


def unmarked(line: Line) -> str:
    """A line's text without its line break, and without the byte order mark that a first line may have."""
    text = str(line.fields["line"]).rstrip("\r\n")
    return text.removeprefix(BYTE_ORDER_MARK) if line.number == 1 else text


def name_in(line: Line, keys: Sequence[str]) -> str:
    """The id under the first of these keys that there is; numbers are taken as they are written."""
    key = _first_key(line, keys)
    if key is None:
        line.refuse(f"has no id; expected one of {', '.join(map(repr, keys))}")
    value = line.fields[key]
    named = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return replace(line, fields={key: named}).identifier(key)


def text_in(line: Line, keys: Sequence[str]) -> str | None:
    """The text under the first of these keys that there is; None where there is none of them."""
    key = _first_key(line, keys)
    return None if key is None else line.text(key)


def _first_key(line: Line, keys: Sequence[str]) -> str | None:
    return next((key for key in keys if line.fields.get(key) is not None), None)


def _from_json(path: Path) -> Iterator[Topic]:
    for item in json_items(path):
        yield from _from_object(item)


def _from_json_lines(path: Path) -> Iterator[Topic]:
    for line in json_lines(path):
        yield from _from_object(line)


def _from_object(line: Line) -> Iterator[Topic]:
    """A query, or a whole conversation: an object with a list of turns."""
    name = name_in(line, ID_KEYS)
    turns = line.items("turns") or line.items("turn")
    if turns is None:
        yield _topic(line, name)
    for number, fields in enumerate(turns or (), start=1):
        turn = line.within(fields, "each turn")
        if turn.fields.get("participant") != "System":
            topic = _topic(turn, f"{name}_{name_in(turn, TURN_KEYS)}")
            yield replace(topic, session_id=name, number=number)


def _topic(line: Line, turn_id: str) -> Topic:
    query = text_in(line, QUERY_KEYS)
    if query is None:
        line.refuse(f"query {turn_id!r} has no text; expected one of {', '.join(map(repr, QUERY_KEYS))}")
    return Topic(line, turn_id, query, text_in(line, REWRITTEN_KEYS) or None, line.optional_text("response"))


def _from_tabs(path: Path) -> Iterator[Topic]:
    for line in text_lines(path):
        name, separator, query = unmarked(line).partition("\t")
        if not separator:
            line.refuse("expected an id, a tab and the query")
        yield _checked(line, name.strip(), query.strip())


def _from_blocks(path: Path) -> Iterator[Topic]:
    text = whole_text(path)
    at = 0
    for block in BLOCK.finditer(text):
        _refuse_open(path, text, at, block.start())
        at = block.end()
        line = Line(path.name, text.count("\n", 0, block.start()) + 1, {})
        fields = {name.lower(): _plain(content) for name, content in FIELD.findall(block[3])}
        numbered = NUMBERED.search(block[2])
        name = fields.get("num") or (numbered[1].strip() if numbered else "")
        query = fields.get("query") or fields.get("title")
        if query is None:
            line.refuse("this topic has no <title> or <query>")
        yield _checked(line, name, query)
    _refuse_open(path, text, at, len(text))


def _refuse_open(path: Path, text: str, start: int, end: int) -> None:
    opened = OPENED.search(text, start, end)
    if opened:
        line = Line(path.name, text.count("\n", 0, opened.start()) + 1, {})
        line.refuse(f"{opened[0]} is never closed")


def _plain(content: str) -> str:
    return " ".join(html.unescape(content).split())


def _checked(line: Line, name: str, query: str) -> Topic:
    inside = replace(line, fields={"id": name, "query": query})
    return Topic(line, inside.identifier("id"), inside.text("query"))
