"""Collections of BEIR and TREC: whatever is written in their forms is loaded as it was meant."""

from __future__ import annotations

import gzip
import json
import random
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.sources.collection import read_collection
from shadowdiff.sources.forms import beir_files, form_of
from shadowdiff.sources.grouping import DEFAULT_PATTERN, Topic, grouped, session_pattern
from shadowdiff.sources.lines import Line

PATTERN = session_pattern(DEFAULT_PATTERN)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
IDS = st.text(st.characters(categories=("L", "N"), exclude_characters="\0"), min_size=1, max_size=6)
NAMES = st.from_regex(r"[a-z]{0,3}[0-9]{1,4}", fullmatch=True)


def topics(names: list[str]) -> list[Topic]:
    """Queries of these ids, in this order."""
    return [Topic(Line("topics.tsv", number, {}), name, f"query {name}") for number, name in enumerate(names, start=1)]


@given(
    corpus=st.dictionaries(IDS, st.tuples(TEXTS, TEXTS), min_size=1, max_size=5),
    queries=st.dictionaries(IDS, TEXTS, min_size=1, max_size=5),
    grades=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(-1, 3)), max_size=8),
    packed=st.booleans(),
)
def test_a_beir_directory_is_read_back(
    corpus: dict[str, tuple[str, str]], queries: dict[str, str], grades: list[tuple[int, int, int]], *, packed: bool
) -> None:
    """Every document, query and label; grades below zero are none of relevance; packed or not."""
    entry_ids, turn_ids = list(corpus), list(queries)
    judged = {(turn_ids[q % len(turn_ids)], entry_ids[d % len(entry_ids)]): grade for q, d, grade in grades}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        documents = [{"_id": _id, "title": title, "text": text} for _id, (title, text) in corpus.items()]
        write(directory / "corpus.jsonl", "".join(json.dumps(line) + "\n" for line in documents), packed=packed)
        asked = [{"_id": _id, "text": text, "metadata": {}} for _id, text in queries.items()]
        write(directory / "queries.jsonl", "".join(json.dumps(line) + "\n" for line in asked), packed=packed)
        (directory / "qrels").mkdir()
        rows = "".join(f"{q}\t{d}\t{grade}\n" for (q, d), grade in judged.items())
        write(directory / "qrels" / "test.tsv", f"query-id\tcorpus-id\tscore\n{rows}", packed=packed)
        assert form_of(directory) == "beir"
        bundle = read_collection(beir_files(directory), "beir", PATTERN, "beir")
    assert {entry.entry_id: (entry.title, entry.body) for entry in bundle.entries} == corpus
    turns = [turn for session in bundle.sessions for turn in session.turns]
    assert {turn.turn_id: turn.query for turn in turns} == queries
    found = {(label.turn_id, label.entry_id): label.grade for label in bundle.labels}
    assert found == {key: max(grade, 0) for key, grade in judged.items()}
    assert {turn.recorded_pool for turn in turns} == {None}


def write(path: Path, text: str, *, packed: bool) -> None:
    """Write a file, or the same with .gz behind its name."""
    content = text.encode()
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(content)) if packed else path.write_bytes(content)


@given(
    sessions=st.dictionaries(NAMES, st.sets(st.integers(0, 999), min_size=1, max_size=4), min_size=1, max_size=4),
    separator=st.sampled_from(["_", ":", "<::>"]),
    seed=st.integers(),
)
def test_turns_are_grouped_by_id_and_ordered_by_number(
    sessions: dict[str, set[int]], separator: str, seed: int
) -> None:
    """In whatever order the file has them; `10` comes after `9`; times follow the order."""
    names = [f"{session}{separator}{turn}" for session, turns in sessions.items() for turn in turns]
    random.Random(seed).shuffle(names)  # noqa: S311 any order will do
    found = grouped(topics(names), PATTERN, "org", {})
    assert {session.session_id: len(session.turns) for session in found} == {s: len(t) for s, t in sessions.items()}
    for session in found:
        expected = [f"{session.session_id}{separator}{turn}" for turn in sorted(sessions[session.session_id])]
        assert [turn.turn_id for turn in session.turns] == expected
        assert [turn.position for turn in session.turns] == list(range(1, len(expected) + 1))
        times = [session.started_at, *(turn.asked_at for turn in session.turns)]
        assert times == sorted(times)
    starts = [session.started_at for session in found]
    assert starts == sorted(set(starts))
    assert grouped(topics(names), PATTERN, "org", {}) == found


@given(st.lists(st.text(st.characters(categories=("L", "N")), min_size=1, max_size=9), unique=True, max_size=6))
def test_ids_that_say_no_session_are_sessions_of_one_turn(names: list[str]) -> None:
    """Nothing is lost, and nothing is put together that only looks alike."""
    found = grouped(topics(names), PATTERN, "org", {})
    assert [(session.session_id, len(session.turns)) for session in found] == [(name, 1) for name in names]
