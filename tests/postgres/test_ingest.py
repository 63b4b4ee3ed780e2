"""Loading a bundle: all of it or nothing, and again as often as wanted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, func, select, text

from shadowdiff.database import source_engine
from shadowdiff.errors import ConfigError, StoreError
from shadowdiff.records import Entry, Session, Window
from shadowdiff.sources.bundle import read_bundle
from shadowdiff.sources.postgres import PostgresSource
from shadowdiff.store import schema
from shadowdiff.store.ingest import ingest
from shadowdiff.store.statements import ROWS_PER_STATEMENT
from tests.bundles import AT, SESSION, TURN, entry, label, session, turn, write_bundle
from tests.conftest import Cli, load

TABLES = (schema.orgs, schema.entries, schema.sessions, schema.turns, schema.pool_entries, schema.served_entries)
ENTRIES = (entry("e1"), entry("e2"))
SESSIONS = (session("s1", turn("t1", 1, ["e2", "e1"]), turn("t2", 2)),)


def counts(engine: Engine) -> list[int]:
    """Rows of the source tables and of the labels."""
    with engine.connect() as connection:
        counted = [connection.scalar(select(func.count()).select_from(table)) for table in (*TABLES, schema.labels)]
    return [int(count or 0) for count in counted]


def stored(engine: Engine) -> list[Session]:
    """Every session, as the source gives it."""
    return list(PostgresSource(engine).sessions(Window()))


def embedded(engine: Engine) -> dict[str, list[float]]:
    """Stored embeddings by entry or turn id."""
    found: dict[str, list[float]] = {}
    with engine.connect() as connection:
        for table, key in ((schema.entries, "entry_id"), (schema.turns, "turn_id")):
            rows = connection.execute(select(table.c[key], table.c.embedding).where(table.c.embedding.is_not(None)))
            found |= {name: list(vector) for name, vector in rows}
    return found


def load_embedded(engine: Engine, first: float, model: str = "minilm", org: Sequence[Entry] = ENTRIES) -> None:
    """Load entries and sessions with vectors that begin with `first`."""
    vectors = np.array([[first, 1.0], [first, 2.0]], np.float16)
    ingest(engine, org, SESSIONS, entry_vectors=vectors, turn_vectors=vectors, embedding_model=model)


def test_a_bundle_arrives_whole(empty_engine: Engine, tmp_path: Path) -> None:
    """What the source gives is what the files held, field by field."""
    bundle = read_bundle(write_bundle(tmp_path))
    load(empty_engine, bundle)
    assert tuple(stored(empty_engine)) == bundle.sessions
    source = PostgresSource(empty_engine)
    assert [*source.org_entries("acme"), *source.org_entries("zeta")] == list(bundle.entries)
    assert counts(empty_engine) == [2, 3, 1, 2, 2, 1, 3]


def test_more_rows_than_one_statement_holds(empty_engine: Engine) -> None:
    """Batches join without a gap, and vectors stay beside their rows."""
    size = ROWS_PER_STATEMENT + 3
    entries = [entry(f"e{number:04}") for number in range(size)]
    sessions = [session(f"s{number:04}", turn(f"t{number:04}", 1, ["e0000"])) for number in range(size)]
    vectors = np.arange(1, size + 1, dtype=np.float32)[:, None]
    ingest(empty_engine, entries, sessions, entry_vectors=vectors, turn_vectors=-vectors, embedding_model="m")
    found = embedded(empty_engine)
    assert found == {f"e{n:04}": [n + 1] for n in range(size)} | {f"t{n:04}": [-n - 1] for n in range(size)}
    assert [item.session_id for item in stored(empty_engine)] == [item.session_id for item in sessions]


def test_loading_twice_changes_nothing(empty_engine: Engine) -> None:
    """A second load of the same bundle finds everything there already."""
    for _ in range(2):
        ingest(empty_engine, ENTRIES, SESSIONS, [label("t1", "e1")])
        assert counts(empty_engine) == [1, 2, 1, 2, 2, 1, 1]
        assert tuple(stored(empty_engine)) == SESSIONS


def test_a_reload_replaces_what_it_names_and_leaves_the_rest(empty_engine: Engine) -> None:
    """Texts, whole sessions and grades follow the bundle; other sessions and entries stay."""
    other = session("s2", turn("t9", 1, ["e2"]))
    ingest(empty_engine, ENTRIES, [*SESSIONS, other], [label("t1", "e1", 1), label("t9", "e2", 2)])
    changed = Entry("acme", "e1", "New", "Text", AT)
    shorter = session("s1", turn("t2", 1, ["e1"]))
    ingest(empty_engine, [changed, entry("e3")], [shorter], [label("t1", "e1", 3)])
    assert PostgresSource(empty_engine).org_entries("acme") == [changed, entry("e2"), entry("e3")]
    assert stored(empty_engine) == [shorter, other]
    with empty_engine.connect() as connection:
        grades = connection.execute(select(schema.labels.c.turn_id, schema.labels.c.grade).order_by("turn_id")).all()
    assert [tuple(row) for row in grades] == [("t1", 3), ("t9", 2)]


def test_turns_may_move_between_sessions_of_one_bundle(empty_engine: Engine) -> None:
    """Sessions that are loaded again may share their turns out differently."""
    ingest(empty_engine, ENTRIES, [session("s1", turn("t1")), session("s2", turn("t2"))])
    swapped = [session("s1", turn("t2")), session("s2", turn("t1"))]
    ingest(empty_engine, ENTRIES, swapped)
    assert stored(empty_engine) == swapped


def test_embeddings_stay_while_the_text_is_the_one_embedded(empty_engine: Engine) -> None:
    """A bundle without embeddings erases only those that no longer fit their text."""
    load_embedded(empty_engine, 1.0)
    assert embedded(empty_engine) == {"e1": [1, 1], "e2": [1, 2], "t1": [1, 1], "t2": [1, 2]}
    ingest(empty_engine, ENTRIES, SESSIONS)
    assert embedded(empty_engine) == {"e1": [1, 1], "e2": [1, 2], "t1": [1, 1], "t2": [1, 2]}
    ingest(empty_engine, [entry("e1", body="changed"), entry("e2")], [session("s1", turn("t1", query="changed"))])
    assert embedded(empty_engine) == {"e2": [1, 2]}
    ingest(empty_engine, ENTRIES, SESSIONS)
    assert embedded(empty_engine) == {"e2": [1, 2]}


def test_rows_of_zeros_are_no_embeddings(empty_engine: Engine) -> None:
    """What a bundle has no vector for has none in the database."""
    vectors = np.array([[0.0, 0.0], [1.0, 2.0]], np.float32)
    ingest(empty_engine, ENTRIES, SESSIONS, entry_vectors=vectors, turn_vectors=vectors, embedding_model="minilm")
    assert embedded(empty_engine) == {"e2": [1.0, 2.0], "t2": [1.0, 2.0]}


def test_a_changed_title_drops_the_embedding_too(empty_engine: Engine) -> None:
    """The title is part of the text that was embedded."""
    load_embedded(empty_engine, 1.0)
    ingest(empty_engine, [entry("e1", title="Another"), entry("e2")], [])
    assert set(embedded(empty_engine)) == {"e2", "t1", "t2"}


def test_new_embeddings_of_the_same_model_replace_the_old(empty_engine: Engine) -> None:
    """Given vectors always win over stored ones."""
    load_embedded(empty_engine, 1.0)
    load_embedded(empty_engine, 2.0)
    assert embedded(empty_engine) == {"e1": [2, 1], "e2": [2, 2], "t1": [2, 1], "t2": [2, 2]}


def test_embeddings_of_another_model_are_refused(empty_engine: Engine) -> None:
    """Cosines between two models mean nothing; a text-only reload does not forget the model."""
    load_embedded(empty_engine, 1.0)
    ingest(empty_engine, ENTRIES, SESSIONS)
    before = embedded(empty_engine)
    with pytest.raises(
        ConfigError, match=r"org 'acme' holds embeddings of 'minilm'; to change to 'bge', .*load --replace"
    ):
        load_embedded(empty_engine, 3.0, model="bge")
    assert embedded(empty_engine) == before


def test_each_org_has_its_own_model(empty_engine: Engine) -> None:
    """Vectors are only ever compared within one org."""
    load_embedded(empty_engine, 1.0)
    vectors = np.ones((1, 3), np.float32)
    zeta = [session("z1", turn("tz"), org_id="zeta")]
    ingest(
        empty_engine,
        [entry("e1", "zeta")],
        zeta,
        entry_vectors=vectors,
        turn_vectors=vectors,
        embedding_model="bge",
    )
    assert embedded(empty_engine)["tz"] == [1, 1, 1]


def test_a_session_of_another_org_is_refused(empty_engine: Engine) -> None:
    """A session never changes hands, and nothing of the load stays."""
    ingest(empty_engine, ENTRIES, SESSIONS)
    before = counts(empty_engine)
    with pytest.raises(
        ConfigError, match="session 's1' is stored for org 'acme' already; the bundle has it for 'zeta'"
    ):
        ingest(empty_engine, [entry("e1", "zeta")], [session("s1", turn("t7"), org_id="zeta")])
    assert counts(empty_engine) == before


def test_a_turn_id_of_another_session_is_refused_plainly(empty_engine: Engine) -> None:
    """The message names both sessions' turn, not an index; what was stored stays."""
    ingest(empty_engine, ENTRIES, SESSIONS)
    with pytest.raises(ConfigError, match="turn 't2' is stored in session 's1' already; a turn id may stand in one"):
        ingest(empty_engine, [entry("e3")], [session("s2", turn("t5"), turn("t2", 2))])
    assert tuple(stored(empty_engine)) == SESSIONS
    assert counts(empty_engine)[1] == 2


@pytest.mark.parametrize(
    ("entries", "sessions", "labels"),
    [
        pytest.param([], [session("s2", turn("t5", 1, ["e9"]))], [], id="pool-names-no-entry"),
        pytest.param([], [session("s2", turn("t5", 1), turn("t6", 1))], [], id="position-twice"),
        pytest.param([entry("e9", body="\0")], [], [], id="nul"),
        pytest.param([entry("e9", body="\ud800")], [], [], id="surrogate"),
        pytest.param([entry("e9")], [session("s2", turn("t5", 1))], [label("t5", "e9", -1)], id="grade"),
    ],
)
def test_whatever_the_database_refuses_leaves_nothing(
    empty_engine: Engine, entries: list[Any], sessions: list[Any], labels: list[Any]
) -> None:
    """Records that did not come from a checked bundle: one plain line, and not a row of them."""
    ingest(empty_engine, ENTRIES, SESSIONS)
    before = counts(empty_engine)
    good = session("s3", turn("t8", 1, ["e1"]))
    with pytest.raises(StoreError, match=r"^loading the bundle failed on postgresql://") as caught:
        ingest(empty_engine, [entry("e8"), *entries], [good, *sessions], [label("t8", "e1"), *labels])
    assert "\n" not in str(caught.value)
    assert counts(empty_engine) == before


def test_a_malformed_bundle_loads_nothing(tmp_path: Path, empty_url: str, cli: Cli) -> None:
    """From the command line: exit 2, the line that is wrong, and empty tables."""
    bad = SESSION | {"session_id": "s2", "turns": [TURN | {"turn_id": "t9", "asked_at": "soon"}]}
    directory = tmp_path / "bundle"
    directory.mkdir()
    write_bundle(directory, sessions=[SESSION, json.dumps(bad)])
    finished = cli("load", directory, env={"SHADOWDIFF_DATABASE_URL": empty_url})
    assert (finished.code, finished.out) == (2, "")
    assert finished.err == "shadowdiff: error: sessions.jsonl:2: 'asked_at' is not an ISO 8601 time: 'soon'\n"
    engine = source_engine(empty_url)
    assert counts(engine) == [0] * 7
    engine.dispose()


def test_the_sample_is_loaded_as_it_lies_in_its_files(sample_source: PostgresSource, sample: Any) -> None:
    """Every session of the sample, oldest first, with pools, served entries and texts."""
    by_age = sorted(sample.sessions, key=lambda item: (item.started_at, item.session_id))
    assert list(sample_source.sessions(Window())) == by_age
    orgs = sorted({item.org_id for item in sample.entries})
    found = {(item.org_id, item.entry_id): item for org in orgs for item in sample_source.org_entries(org)}
    assert found == {(item.org_id, item.entry_id): item for item in sample.entries}


def test_two_loads_at_once_give_one_of_them(empty_engine: Engine) -> None:
    """The second waits for the first one's orgs, then replaces its sessions; no deadlock, no mixture."""
    from concurrent.futures import ThreadPoolExecutor

    entries = [entry(f"e{number}") for number in range(50)]
    sessions = [session(f"s{number:02}", turn(f"t{number}", 1, [f"e{number}"])) for number in range(50)]
    with ThreadPoolExecutor() as pool:
        loads = [pool.submit(ingest, empty_engine, order, sessions) for order in (entries, entries[::-1])]
        for running in loads:
            running.result()
    assert stored(empty_engine) == sessions
    with empty_engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM shadowdiff.entries")) == 50
