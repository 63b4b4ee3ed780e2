"""Collections of BEIR and TREC as bundles: corpus, topics, a run and qrels of one org, read whole or refused.

All of it is held in memory while it is checked and loaded: about 0.4 GB for a
million passages beside their text. `listed_only` keeps what is named, and so
reads corpora of any size.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from shadowdiff.errors import BundleError
from shadowdiff.records import Entry, Label, RecordedEntry, Session
from shadowdiff.sources.bundle import Bundle
from shadowdiff.sources.grouping import Pools, grouped
from shadowdiff.sources.lines import Line, Unique, json_lines, text_lines
from shadowdiff.sources.qrels import Judged, read_qrels
from shadowdiff.sources.topics import first_character, name_in, read_topics, text_in, unmarked
from shadowdiff.trec import read_run

DOCUMENT_ID_KEYS = ("_id", "id", "docid")
DOCUMENT_TEXT_KEYS = ("text", "contents", "body")


@dataclass(frozen=True, slots=True)
class CollectionFiles:
    """Where the parts of a collection lie."""

    topics: Path
    corpus: Path | None = None
    """None: the entries that the run and the labels name are loaded without text."""
    run: Path | None = None
    """What it lists for a turn becomes the turn's recorded pool."""
    qrels: tuple[Path, ...] = ()


def read_collection(
    files: CollectionFiles,
    org_id: str,
    pattern: re.Pattern[str],
    label_source: str,
    *,
    judged_only: bool = False,
    listed_only: bool = False,
) -> Bundle:
    """Read and check a collection as one org's bundle. Raises ConfigError, BundleError with file, line and reason.

    `judged_only` leaves out sessions without a label, `listed_only` entries
    that neither the run nor a label names. What they name and the corpus lacks
    is there without title and body. Nothing counts as served.
    """
    topics = read_topics(files.topics)
    turn_ids = {topic.turn_id for topic in topics}
    judged = list(_read_judged(files.qrels, turn_ids))
    pools = {} if files.run is None else _read_pools(files.run, turn_ids)
    sessions = grouped(topics, pattern, org_id, pools)
    if judged_only:
        sessions = _with_labels(sessions, {item.turn_id for item in judged})
    named = dict.fromkeys([*_pooled(sessions), *(item.entry_id for item in judged)])
    entries = [] if files.corpus is None else list(_read_entries(files.corpus, org_id, named if listed_only else None))
    held = {entry.entry_id for entry in entries}
    entries += [Entry(org_id, entry_id, "", "") for entry_id in named if entry_id not in held]
    if not entries:
        raise BundleError(f"{files.topics.name}: neither a corpus nor a run nor qrels beside it name any entry")
    labels = (Label(org_id, item.turn_id, item.entry_id, item.grade, label_source) for item in judged)
    return Bundle(tuple(entries), tuple(sessions), tuple(labels))


def _read_judged(paths: Iterable[Path], turn_ids: set[str]) -> Iterator[Judged]:
    unique = Unique("label")
    for path in paths:
        for item in read_qrels(path):
            if item.turn_id not in turn_ids:
                item.line.refuse(f"unknown query {item.turn_id!r}")
            _check_id(item.line, item.entry_id)
            unique.check(item.line, f"of {item.entry_id!r} for {item.turn_id!r}", (item.turn_id, item.entry_id))
            yield item


def _read_pools(path: Path, turn_ids: set[str]) -> Pools:
    pools = {}
    for turn_id, lines in read_run(path).items():
        if turn_id not in turn_ids:
            raise BundleError(f"{path.name}: lists entries for {turn_id!r}, a query that the topics do not have")
        for line in lines:
            _check_id(Line(path.name, line.rank, {}, unit=f"query {turn_id!r}, rank"), line.entry_id)
        pools[turn_id] = tuple(RecordedEntry(line.entry_id, line.score) for line in lines)
    return pools


def _check_id(line: Line, entry_id: str) -> None:
    line.within({"entry id": entry_id}, "line").identifier("entry id")


def _with_labels(sessions: Iterable[Session], judged: set[str]) -> list[Session]:
    return [session for session in sessions if any(turn.turn_id in judged for turn in session.turns)]


def _pooled(sessions: Iterable[Session]) -> Iterator[str]:
    """Entry ids of the sessions' pools, in order."""
    for session in sessions:
        for turn in session.turns:
            yield from (item.entry_id for item in turn.recorded_pool or ())


def _read_entries(path: Path, org_id: str, wanted: Mapping[str, None] | None) -> Iterator[Entry]:
    """The corpus in file order, ids unique; of `wanted` only, if that is given."""
    unique = Unique("entry")
    documents = _from_json if first_character(path) == "{" else _from_tabs
    for line, entry in documents(path, org_id):
        if wanted is None or entry.entry_id in wanted:
            unique.check(line, repr(entry.entry_id), entry.entry_id)
            yield entry


def _from_json(path: Path, org_id: str) -> Iterator[tuple[Line, Entry]]:
    for line in json_lines(path):
        name, body = name_in(line, DOCUMENT_ID_KEYS), text_in(line, DOCUMENT_TEXT_KEYS)
        yield line, Entry(org_id, name, line.text("title", default=""), body or "")


def _from_tabs(path: Path, org_id: str) -> Iterator[tuple[Line, Entry]]:
    for line in text_lines(path):
        name, separator, body = unmarked(line).partition("\t")
        if not separator:
            line.refuse("expected an id, a tab and the text")
        inside = line.within({"id": name.strip(), "text": body.strip()}, "line")
        yield line, Entry(org_id, inside.identifier("id"), "", inside.text("text"))
