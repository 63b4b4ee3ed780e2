"""Bundles: what is written is read back as the same records."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowdiff.records import Entry, Label, RecordedEntry, Session, Turn
from shadowdiff.sources.bundle import Bundle, read_bundle
from shadowdiff.sources.bundle_writer import write_bundle
from shadowdiff.sources.embeddings import Embeddings
from shadowdiff.trec import fits

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
IDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6).filter(str.strip)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
ZONES = st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes))) | st.just(UTC)
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=ZONES)  # noqa: DTZ001 the zone is drawn beside
TAGS = st.dictionaries(TEXTS, st.none() | st.booleans() | NUMBERS | TEXTS | st.lists(TEXTS, max_size=2), max_size=2)


@st.composite
def bundles(draw: st.DrawFn) -> Bundle:
    """Orgs, entries, sessions, labels and embeddings with rows missing: anything that a store may hold."""
    orgs = draw(st.lists(IDS, min_size=1, max_size=2, unique=True))
    names = {org: draw(st.lists(IDS, min_size=1, max_size=4, unique=True)) for org in orgs}
    times = st.none() | TIMES
    entries = [Entry(org, name, draw(TEXTS), draw(TEXTS), draw(times)) for org in orgs for name in names[org]]
    turn_ids = draw(st.lists(IDS, min_size=1, max_size=4, unique=True))
    session_ids = draw(st.lists(IDS, min_size=1, max_size=len(turn_ids), unique=True))
    sessions = []
    for place, session_id in enumerate(session_ids):
        org = draw(st.sampled_from(orgs))
        mine = turn_ids[place :: len(session_ids)]
        turns = tuple(draw(turns_of(turn_id, at, names[org])) for at, turn_id in enumerate(mine, start=1))
        sessions.append(Session(session_id, org, draw(TIMES), turns, draw(TAGS)))
    labels = draw(labels_of(sessions, names))
    return Bundle(tuple(entries), tuple(sessions), labels, draw(st.none() | embeddings(len(entries), len(turn_ids))))


def turns_of(turn_id: str, position: int, names: list[str]) -> st.SearchStrategy[Turn]:
    """A turn whose lists name these entries."""
    listed = st.none() | st.lists(st.sampled_from(names), unique=True).map(tuple)
    scores = st.none() | NUMBERS
    pools = st.none() | st.dictionaries(st.sampled_from(names), scores).map(
        lambda pool: tuple(RecordedEntry(name, score) for name, score in pool.items())
    )
    optional = st.none() | TEXTS.filter(bool)
    return st.builds(
        Turn,
        st.just(turn_id),
        st.just(position),
        query=TEXTS,
        asked_at=TIMES,
        search_query=optional,
        answer=optional,
        recorded_pool=pools,
        served=listed,
    )


@st.composite
def labels_of(draw: st.DrawFn, sessions: list[Session], names: dict[str, list[str]]) -> tuple[Label, ...]:
    """Labels whose ids qrels can hold."""
    judged = [
        (session.org_id, turn.turn_id, name)
        for session in sessions
        for turn in session.turns
        for name in names[session.org_id]
        if fits(turn.turn_id) and fits(name)
    ]
    return tuple(Label(*key, draw(st.integers(0, 32767)), "bundle") for key in judged if draw(st.booleans()))


@st.composite
def embeddings(draw: st.DrawFn, entry_count: int, turn_count: int) -> Embeddings:
    """Vectors of three dimensions, some of them zeros: none."""
    row = st.lists(st.floats(-2, 2, width=16), min_size=3, max_size=3)
    arrays = [
        np.array(draw(st.lists(row, min_size=count, max_size=count)), dtype=np.float32)
        for count in (entry_count, turn_count)
    ]
    return Embeddings(draw(IDS), arrays[0] + 0.0, arrays[1] + 0.0)  # no -0.0, which is written as 0.0 in rows of none


@settings(max_examples=60)
@given(bundles())
def test_a_bundle_is_read_back_as_it_was(bundle: Bundle) -> None:
    """Every record, in order; times are the same moments, and rows without embedding stay without."""
    with tempfile.TemporaryDirectory() as directory:
        write_bundle(bundle, Path(directory))
        found = read_bundle(Path(directory))
        first = {path.name: path.read_bytes() for path in Path(directory).iterdir()}
        write_bundle(found, Path(directory))
        assert {path.name: path.read_bytes() for path in Path(directory).iterdir()} == first
    assert replace(found, embeddings=None) == replace(bundle, embeddings=None)
    assert (found.embeddings is None) == (bundle.embeddings is None)
    if found.embeddings is not None and bundle.embeddings is not None:
        assert found.embeddings.model == bundle.embeddings.model
        assert np.array_equal(found.embeddings.entries, bundle.embeddings.entries)
        assert np.array_equal(found.embeddings.turns, bundle.embeddings.turns)
