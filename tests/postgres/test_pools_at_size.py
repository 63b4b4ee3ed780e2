"""Pools of large orgs: through an HNSW index where there is one, exact where not, and the lexicon kept on disk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import Engine, event, text

from shadowdiff.database import source_engine
from shadowdiff.pools import Lexicons
from shadowdiff.records import Entry, Session, Turn
from shadowdiff.sources import postgres
from shadowdiff.sources.postgres import PostgresSource
from shadowdiff.store import approximate
from shadowdiff.store.approximate import bring_up_to_date, index_name, large_orgs, usable_indexes
from shadowdiff.store.ingest import ingest
from tests.conftest import Cli

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENTRIES, DIMENSIONS, TURNS, POOL = 3_000, 16, 10, 50
NAMES = ("large", "100% o'small\\")
"""The second has all that must be quoted in a name."""


def vectors(count: int, dimensions: int = DIMENSIONS, seed: int = 1) -> NDArray[np.float32]:
    """Unit vectors in a few clusters."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(20, dimensions))
    rows = centres[random.integers(20, size=count)] + random.normal(size=(count, dimensions)) / 4
    unit: NDArray[np.float64] = np.divide(rows, np.linalg.norm(rows, axis=1, keepdims=True))
    return unit.astype(np.float32)


def fill(engine: Engine, org_id: str, count: int, *, replace: bool = False, dimensions: int = DIMENSIONS) -> None:
    """An org with this many entries, and turns of which each has an embedding."""
    entries = [Entry(org_id, f"e{number:05}", f"t{number % 97}", f"word{number} shared") for number in range(count)]
    asked = datetime(2026, 11, 1, tzinfo=UTC)
    turns = tuple(Turn(f"{org_id}-{place}", place, "shared", asked) for place in range(1, TURNS + 1))
    ingest(
        engine,
        entries,
        [Session(f"s-{org_id}", org_id, asked, turns)],
        entry_vectors=vectors(count, dimensions),
        turn_vectors=vectors(TURNS, dimensions, seed=2),
        embedding_model="m",
        replace_orgs=replace,
    )


def asked(org_id: str) -> dict[str, str]:
    """The org's turns."""
    return {f"{org_id}-{place}": org_id for place in range(1, TURNS + 1)}


@pytest.fixture
def filled(empty_engine: Engine) -> Engine:
    """A large org with its index, and a small one without."""
    fill(empty_engine, NAMES[0], ENTRIES)
    fill(empty_engine, NAMES[1], 200)
    assert [org.org_id for org in bring_up_to_date(empty_engine, large=1_000)] == ["large"]
    return empty_engine


@pytest.fixture
def reader(filled: Engine) -> Iterator[Engine]:
    """A read-only engine on it."""
    engine = source_engine(filled.url.render_as_string(hide_password=False))
    yield engine
    engine.dispose()


def plans(engine: Engine, source: PostgresSource, org_id: str) -> list[str]:
    """How the server carries out each statement that compares embeddings for the org's pools."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if "MATERIALIZED" in statement:
            seen.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    source.nearest(asked(org_id), POOL)
    event.remove(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        return ["\n".join(connection.exec_driver_sql(f"EXPLAIN {said}", given).scalars()) for said, given in seen]


def test_a_large_org_is_searched_through_its_index(reader: Engine) -> None:
    """The server says so; nearly all of the nearest are found, with the scores and in the order of exact search."""
    source = PostgresSource(reader)
    (plan,) = plans(reader, source, "large")
    assert f"Index Scan using {index_name('large', DIMENSIONS)}" in plan
    assert source.approximate_orgs == {"large"}
    found, exact = (s.nearest(asked("large"), POOL) for s in (source, PostgresSource(reader, approximate=False)))
    assert set(found) == set(exact) == set(asked("large"))
    shared = [len(set(found[turn]) & set(exact[turn])) for turn in exact]
    assert sum(shared) >= 0.97 * POOL * TURNS
    for items in found.values():
        assert items == sorted(items, key=lambda item: (-(item.score or 0), item.entry_id))
        assert len(items) == POOL


def test_a_small_org_beside_it_is_exact(reader: Engine) -> None:
    """No index is read, and the pools are numpy's, ties by entry id."""
    source = PostgresSource(reader)
    (plan,) = plans(reader, source, NAMES[1])
    assert approximate.PREFIX not in plan
    assert source.approximate_orgs == frozenset()
    found = source.nearest(asked(NAMES[1]), 5)
    best = np.argsort(-(vectors(200) @ vectors(TURNS, seed=2).T), axis=0, kind="stable")[:5].T
    assert [[item.entry_id for item in found[turn]] for turn in asked(NAMES[1])] == [
        [f"e{number:05}" for number in row] for row in best.tolist()
    ]


def test_one_search_serves_both_kinds_of_orgs(reader: Engine) -> None:
    """Turns of a large and a small org in one batch are each answered from their own org."""
    source = PostgresSource(reader)
    together = source.nearest(asked(NAMES[0]) | asked(NAMES[1]), POOL)
    assert together == source.nearest(asked(NAMES[0]), POOL) | source.nearest(asked(NAMES[1]), POOL)


def test_more_than_the_index_gives_is_searched_exactly(filled: Engine, reader: Engine) -> None:
    """An index that answers with fewer than were asked for is no excuse: the turn is searched again, exactly."""
    with filled.begin() as connection:
        connection.execute(text("UPDATE shadowdiff.entries SET embedding = '[1,2]' WHERE entry_id >= 'e00030'"))
        connection.execute(text("UPDATE shadowdiff.turns SET embedding = '[1,2]' WHERE turn_id = 'large-1'"))
        connection.execute(text("DELETE FROM shadowdiff.entries WHERE org_id = 'large' AND entry_id < 'e00030'"))
    found = PostgresSource(reader).nearest({"large-1": "large"}, POOL)["large-1"]
    assert [item.entry_id for item in found] == [f"e{number:05}" for number in range(30, 80)]
    with filled.begin() as connection:
        connection.execute(text("UPDATE shadowdiff.entries SET embedding = NULL WHERE entry_id >= 'e00040'"))
        emptied = "UPDATE shadowdiff.entries SET embedding = :v WHERE org_id = 'large' AND entry_id < 'e00040'"
        connection.execute(text(emptied), {"v": str(vectors(1)[0].tolist())})
        query = "UPDATE shadowdiff.turns SET embedding = :v WHERE turn_id = 'large-1'"
        connection.execute(text(query), {"v": str(vectors(1)[0].tolist())})
    source = PostgresSource(reader)
    found = source.nearest({"large-1": "large"}, POOL)["large-1"]
    assert source.approximate_orgs == {"large"}
    assert [item.entry_id for item in found] == [f"e{number:05}" for number in range(30, 40)]


def test_indexes_follow_the_orgs(filled: Engine) -> None:
    """Made once; dropped when the org is small or embedded anew; other dimensions never make a load fail."""
    assert bring_up_to_date(filled, large=1_000) == []
    fill(filled, "large", ENTRIES, replace=True, dimensions=8)
    assert [org.dimensions for org in bring_up_to_date(filled, large=1_000)] == [8]
    with filled.connect() as connection:
        assert usable_indexes(connection) == {index_name("large", 8)}
    assert len(bring_up_to_date(filled, large=100)) == 1
    with filled.connect() as connection:
        assert usable_indexes(connection) == {index_name("large", 8), index_name(NAMES[1], DIMENSIONS)}
        assert [org.org_id for org in large_orgs(connection, 100)] == [NAMES[1], "large"]
    assert bring_up_to_date(filled, large=10_000) == []
    with filled.connect() as connection:
        assert usable_indexes(connection) == frozenset()


def test_an_org_of_any_name_has_an_index_of_its_own(empty_engine: Engine) -> None:
    """The name stands in the index's condition as a value: quotes, backslashes and per cent signs do nothing."""
    fill(empty_engine, NAMES[1], 200)
    bring_up_to_date(empty_engine, large=100)
    engine = source_engine(empty_engine.url.render_as_string(hide_password=False))
    source = PostgresSource(engine)
    found = source.nearest(asked(NAMES[1]), 5)
    assert source.approximate_orgs == {NAMES[1]}
    assert found == PostgresSource(engine, approximate=False).nearest(asked(NAMES[1]), 5)
    engine.dispose()


def test_a_mapped_source_is_always_exact(reader: Engine) -> None:
    """An index that is not ours is never searched, whatever it is called."""
    from shadowdiff.config import SourceSettings
    from shadowdiff.sources.mapping import source_mapping

    entries = "SELECT org_id, entry_id, body, embedding FROM shadowdiff.entries"
    source = PostgresSource(reader, source_mapping(SourceSettings(("shadowdiff",), {"entries": entries})))
    exact = PostgresSource(reader, approximate=False)
    assert source.nearest(asked("large"), POOL) == exact.nearest(asked("large"), POOL)
    assert source.approximate_orgs == frozenset()


def test_the_version_names_the_contents(filled: Engine, reader: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids and texts decide it, and nothing else does; a small knowledge base has none."""
    source = PostgresSource(reader)
    first = source.kb_version("large")
    assert first is not None
    assert source.kb_version(NAMES[1]) is None
    monkeypatch.setattr(postgres, "VERSIONED_FROM", 100)
    assert source.kb_version(NAMES[1]) not in {None, first}
    assert source.kb_version("nobody") is None
    changes = {
        "UPDATE shadowdiff.entries SET updated_at = now(), embedding = NULL": False,
        "UPDATE shadowdiff.entries SET body = 'elsewhere' WHERE entry_id = 'e00001' AND org_id <> 'large'": False,
        "UPDATE shadowdiff.entries SET body = body || ' ' WHERE entry_id = 'e00001'": True,
        "UPDATE shadowdiff.entries SET title = title || 'x', body = 'y' WHERE entry_id = 'e00002'": True,
        "UPDATE shadowdiff.entries SET title = title || 'xy', body = '' WHERE entry_id = 'e00002'": True,
        "UPDATE shadowdiff.entries SET entry_id = 'new' WHERE entry_id = 'e00003'": True,
        "DELETE FROM shadowdiff.entries WHERE entry_id = 'e00004'": True,
    }
    before = first
    for statement, changed in changes.items():
        with filled.begin() as connection:
            connection.execute(text(statement))
        now = source.kb_version("large")
        assert now is not None
        assert (now != before) is changed, statement
        before = now


def test_a_kept_lexicon_leaves_the_texts_in_the_database(filled: Engine, reader: Engine, tmp_path: Path) -> None:
    """The second process reads no entry; a change of one text is seen; without a directory nothing is kept."""
    built = Lexicons(PostgresSource(reader, cache_directory=tmp_path)).of("large")
    statements: list[str] = []
    event.listen(reader, "before_cursor_execute", lambda *given: statements.append(given[2]))
    opened = Lexicons(PostgresSource(reader, cache_directory=tmp_path)).of("large")
    assert not [statement for statement in statements if "ORDER BY" in statement and "sha256" not in statement]
    assert opened.top("word17", 3) == built.top("word17", 3)
    assert opened.top("word17", 1)[0][0] == "e00017"
    with filled.begin() as connection:
        connection.execute(text("UPDATE shadowdiff.entries SET body = 'nothing' WHERE entry_id = 'e00017'"))
    changed = Lexicons(PostgresSource(reader, cache_directory=tmp_path)).of("large")
    assert changed.top("word17", 1)[0][1] == 0.0
    elsewhere = tmp_path / "elsewhere"
    Lexicons(PostgresSource(reader)).of("large")
    assert not elsewhere.exists()


@pytest.mark.parametrize("key", ["store_text = false", 'redact = ["email"]\nredact_stored = true'])
def test_no_words_are_kept_where_texts_are_not(filled: Engine, cli: Cli, tmp_path: Path, key: str) -> None:
    """A replay by BM25 keeps its lexicon, but not with `store_text = false` or `redact_stored`."""
    environment = {
        "SHADOWDIFF_DATABASE_URL": filled.url.render_as_string(hide_password=False),
        "SHADOWDIFF_HOME": str(tmp_path / "home"),
    }
    command = ("replay", "--pool-from", "bm25", "-A", "bm25", "-B", "bm25", "--last", "5")
    (tmp_path / "shadowdiff.toml").write_text(f"[privacy]\n{key}\n", encoding="utf-8")
    assert cli(*command, env=environment).code == 0
    assert not (tmp_path / "home" / "cache").exists()
    (tmp_path / "shadowdiff.toml").unlink()
    assert cli(*command, env=environment).code == 0
    assert len(list((tmp_path / "home" / "cache" / "lexicons").iterdir())) == 1


def test_replay_and_doctor_say_what_is_approximate(filled: Engine, cli: Cli) -> None:
    """A run that searched an index says so on stderr; an exact one does not."""
    environment = {"SHADOWDIFF_DATABASE_URL": filled.url.render_as_string(hide_password=False)}
    command = ("replay", "--pool-from", "cosine", "--last", "5", "-A", "cosine", "-B", "bm25")
    told = cli(*command, "--org", "large", env=environment)
    assert told.code == 0
    assert "warning: pools of org 'large' come from an approximate index (HNSW)" in told.err
    exact = cli(*command, "--org", NAMES[1], env=environment)
    assert (exact.code, exact.err) == (0, "")
    assert "exact: no org has 20,000 entries with an embedding" in cli("doctor", env=environment).out
