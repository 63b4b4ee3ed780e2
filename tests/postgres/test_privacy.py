"""What the store holds of a run: no texts, or redacted ones; and how texts come back when the run is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, text

from shadowdiff.config import REDACTIONS, PrivacySettings
from shadowdiff.database import store_engine
from shadowdiff.errors import SourceError
from shadowdiff.privacy import redactor
from shadowdiff.records import MissingText, SessionOutcome, Window
from shadowdiff.replay.execute import Replay
from shadowdiff.replay.results import outcomes
from shadowdiff.replay.sides import Contender
from shadowdiff.replay.texts import SourceTexts
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import parse
from shadowdiff.runs import Run, RunConfig, Side
from shadowdiff.sources.bundle import Bundle
from shadowdiff.sources.postgres import PostgresSource
from shadowdiff.store import schema
from shadowdiff.store.runs import RunStore
from shadowdiff.testing import KeywordReranker

STORE_TABLES = (
    schema.runs,
    schema.run_sides,
    schema.run_sessions,
    schema.entry_texts,
    schema.run_turns,
    schema.rankings,
    schema.failures,
    schema.score_cache,
)
PLANTED = ("joe@example.com", "4111 1111 1111 1111", "+49 30 901820", "AKIAIOSFODNN7EXAMPLE")
REDACTOR = redactor(PrivacySettings(redact=REDACTIONS))


class Quoting(KeywordReranker):
    """Fails on every other query, quoting it."""

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """As a KeywordReranker, if at all."""
        if len(query) % 2:
            raise ValueError(f"cannot rank {query!r} against {documents[0]!r}")
        return super().score(query, documents)


def replay(source: PostgresSource, store: RunStore, **more: Any) -> Replay:
    """Cosine against one that quotes what it fails on."""
    sides = [("A", build(parse("cosine"))), ("B", Quoting())]
    contenders = tuple(Contender(Side(name, str(r.spec), str(r.spec), r.fingerprint), r) for name, r in sides)
    return replace(Replay(contenders, source, store), **more)


def carried_out(replay: Replay, **config: Any) -> Run:
    """Start and finish over the last six sessions."""
    return replay.finish(replay.start(RunConfig(window=Window(last=6), **config)))


def strings(value: Any) -> Iterator[str]:
    """Every string in a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (found for item in [*value.keys(), *value.values()] for found in strings(item))
    elif isinstance(value, list | tuple):
        yield from (found for item in value for found in strings(item))


def dump(url: str) -> str:
    """Every text, array and JSON value of every table that the store has of runs."""
    engine = store_engine(url)
    with engine.connect() as connection:
        found = [row for table in STORE_TABLES for row in connection.execute(select(table))]
    engine.dispose()
    return "\n".join(piece for row in found for piece in strings(tuple(row)))


def write(url: str, *statements: str, **values: Any) -> None:
    """As production would, behind the run's back."""
    engine = store_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement), values)
    engine.dispose()


def shown(run: Run, store: RunStore, source: PostgresSource) -> tuple[list[SessionOutcome], list[str]]:
    """The run's sessions with texts from the source, and the warnings."""
    texts = SourceTexts(lambda: source)
    return list(texts.filled(outcomes(run, store))), list(texts.warnings())


def sample_texts(sample: Bundle) -> list[str]:
    """What must not be stored: queries, answers, tags' values are too short to look for."""
    turns = [turn for session in sample.sessions for turn in session.turns]
    asked = [piece for turn in turns for piece in (turn.query, turn.search_query, turn.answer) if piece]
    return [*asked, *(piece for entry in sample.entries for piece in (entry.title, entry.body) if piece)]


def test_without_texts_the_store_holds_none(
    sample_source: PostgresSource, sample_store: RunStore, sample_url: str, sample: Bundle
) -> None:
    """Not one query, answer, title or body of the sample, in no column of any table, whatever a plugin quotes."""
    write(sample_url, 'UPDATE shadowdiff.sessions SET tags = \'{"note": "a tag that is a text"}\'')
    run = carried_out(replay(sample_source, sample_store), store_text=False)
    kept = dump(sample_url)
    assert [piece for piece in sample_texts(sample) if piece in kept] == []
    assert "a tag that is a text" not in kept
    assert "ValueError (its message is not stored, as it may quote a text)" in kept
    assert run.summary is not None
    assert 0 < run.summary.sides["B"].failed_turns < run.summary.turns
    carried_out(replay(sample_source, sample_store))
    kept = dump(sample_url)
    assert len([piece for piece in sample_texts(sample) if piece in kept]) > 100
    assert "cannot rank" in kept


def test_a_run_without_texts_counts_and_shows_the_same(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """Summary, pools, rankings and diffs are those of a run with texts; with the source at hand, every text is too."""
    plain = carried_out(replay(sample_source, sample_store))
    bare = carried_out(replay(sample_source, sample_store), store_text=False)
    assert plain.summary is not None
    assert bare.summary is not None
    assert bare.summary.pairs == plain.summary.pairs
    assert not sample_store.get(bare.run_id).config.store_text
    before, (after, warnings) = list(outcomes(plain, sample_store)), shown(bare, sample_store, sample_source)
    assert warnings == []
    for one, other in zip(before, after, strict=True):
        assert (other.session.tags, other.diffs) == (one.session.tags, one.diffs)
        for turn, filled in zip(one.turns, other.turns, strict=True):
            assert filled.replayed.turn == turn.replayed.turn
            assert filled.replayed.pool == turn.replayed.pool
            assert filled.replayed.pool.hash == turn.replayed.pool.hash
            assert filled.replayed.rankings == turn.replayed.rankings


def test_texts_that_have_changed_or_gone_are_not_passed_off_as_what_was_ranked(
    sample_source: PostgresSource, sample_store: RunStore, sample_url: str
) -> None:
    """Each is marked and counted; the rest of the run is shown in full."""
    run = carried_out(replay(sample_source, sample_store), store_text=False)
    before = list(outcomes(run, sample_store))
    first, last = before[0], before[-1]
    pool = first.turns[0].replayed.pool.entry_ids
    where = {
        "org": first.session.org_id,
        "changed": pool[0],
        "gone": pool[1],
        "turn": first.turns[0].replayed.turn.turn_id,
    }
    write(
        sample_url,
        "UPDATE shadowdiff.turns SET query = 'another' WHERE turn_id = :turn",
        "UPDATE shadowdiff.entries SET body = body || '!' WHERE org_id = :org AND entry_id = :changed",
        "DELETE FROM shadowdiff.pool_entries WHERE org_id = :org AND entry_id = :gone",
        "DELETE FROM shadowdiff.served_entries WHERE org_id = :org AND entry_id = :gone",
        "DELETE FROM shadowdiff.entries WHERE org_id = :org AND entry_id = :gone",
        **where,
    )
    write(sample_url, "DELETE FROM shadowdiff.sessions WHERE session_id = :id", id=last.session.session_id)
    after, warnings = shown(run, sample_store, sample_source)
    turn = after[0].turns[0].replayed
    assert (turn.turn.missing_text, turn.turn.query) == (MissingText.CHANGED, "")
    entries = {item.entry.entry_id: item.entry for item in turn.pool.entries}
    assert (entries[pool[0]].missing_text, entries[pool[0]].title) == (MissingText.CHANGED, "")
    assert entries[pool[1]].missing_text is MissingText.GONE
    assert entries[pool[2]].missing_text is None
    assert entries[pool[2]].body
    assert {item.replayed.turn.missing_text for item in after[-1].turns} == {MissingText.GONE}
    assert turn.pool.hash == first.turns[0].replayed.pool.hash
    assert len(warnings) == 1
    counted = f"1 queries changed, {len(last.turns)} gone, 2 entries changed or gone"
    assert warnings[0].endswith(f": {counted}; ids are shown")


class Away(PostgresSource):
    """A source that cannot be read."""

    asked = 0

    def sessions(self, window: Window) -> Iterator[Any]:
        """Nothing."""
        Away.asked += 1
        raise SourceError("cannot read sessions: the server is away")


def test_a_source_that_is_away_costs_only_the_texts(sample_source: PostgresSource, sample_store: RunStore) -> None:
    """Everything is yielded with ids; one warning, and the source is asked once."""
    run = carried_out(replay(sample_source, sample_store), store_text=False)
    after, warnings = shown(run, sample_store, Away(sample_source._engine))
    assert after == list(outcomes(run, sample_store))
    assert Away.asked == 1
    assert len(warnings) == 1
    assert "so ids are shown: cannot read sessions: the server is away" in warnings[0]


def plant(url: str) -> None:
    """Something to redact in every query, answer, tag, title and body."""
    secrets = " ".join(PLANTED)
    write(
        url,
        "UPDATE shadowdiff.turns SET query = query || :planted, answer = :planted, search_query = NULL",
        "UPDATE shadowdiff.entries SET title = title || ' joe@example.com', body = body || :planted",
        "UPDATE shadowdiff.sessions SET tags = jsonb_build_object('by', CAST(:planted AS text))",
        planted=f" {secrets} ",
    )


def test_redacted_before_it_is_stored(sample_source: PostgresSource, sample_store: RunStore, sample_url: str) -> None:
    """No planted secret is left in any column, also not of texts that an earlier night stored; identities stay."""
    plant(sample_url)
    clear = carried_out(replay(sample_source, sample_store))
    assert all(secret in dump(sample_url) for secret in PLANTED)
    hashes = pool_hashes(clear, sample_store)
    redacted = carried_out(replay(sample_source, sample_store, redact_stored=REDACTOR))
    write(sample_url, "DELETE FROM shadowdiff.runs WHERE run_id = :run", run=clear.run_id)
    kept = dump(sample_url)
    assert [secret for secret in PLANTED if secret in kept] == []
    assert all(f"[{name}]" in kept for name in REDACTIONS)
    assert pool_hashes(redacted, sample_store) == hashes
    assert clear.summary is not None
    assert redacted.summary is not None
    assert redacted.summary.pairs == clear.summary.pairs


def test_a_redacted_text_stays_redacted(sample_source: PostgresSource, sample_store: RunStore, sample_url: str) -> None:
    """Neither a later run in the clear nor one with a weaker list brings the text of an entry back."""
    plant(sample_url)
    carried_out(replay(sample_source, sample_store, redact_stored=REDACTOR))
    weaker = redactor(PrivacySettings(redact=("email",)))
    carried_out(replay(sample_source, sample_store, redact_stored=redactor(PrivacySettings(patterns={"none": "\0"}))))
    carried_out(replay(sample_source, sample_store))
    assert "4111 1111 1111 1111" not in entry_texts(sample_url)
    carried_out(replay(sample_source, sample_store, redact_stored=weaker))
    assert "joe@example.com" not in entry_texts(sample_url)


def entry_texts(url: str) -> str:
    """Every stored text of an entry."""
    engine = store_engine(url)
    with engine.connect() as connection:
        found = [f"{row.title}\n{row.body}" for row in connection.execute(select(schema.entry_texts))]
    engine.dispose()
    return "\n".join(found)


def pool_hashes(run: Run, store: RunStore) -> list[str]:
    """Of every turn."""
    return [turn.replayed.pool.hash for outcome in outcomes(run, store) for turn in outcome.turns]


@pytest.mark.parametrize("store_text", [True, False])
def test_an_interrupted_run_keeps_its_way_of_storing(
    sample_source: PostgresSource, sample_store: RunStore, sample_url: str, store_text: bool
) -> None:
    """What the run began with is what it ends with, because it stands in the run."""
    started = replay(sample_source, sample_store).start(RunConfig(window=Window(last=2), store_text=store_text))
    replay(sample_source, sample_store).finish(sample_store.get(started.run_id))
    assert bool(entry_texts(sample_url)) is store_text
