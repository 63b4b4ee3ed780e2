"""Presets for entries in LangChain's and LlamaIndex's tables, read from what those packages wrote.

`tests/fixtures/stores/record.py` had the packages write the dumps, and noted beforehand what it sent.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, create_engine, event, text

from shadowdiff.config import SourceSettings
from shadowdiff.database import parse_url, source_engine
from shadowdiff.records import Entry, Session
from shadowdiff.sources.bundle import Bundle
from shadowdiff.sources.mapping import source_mapping
from shadowdiff.sources.postgres import PostgresSource
from tests.conftest import ROOT, Cli, MakeDatabase

FIXTURES = ROOT / "tests" / "fixtures" / "stores"
SENT: Mapping[str, list[dict[str, Any]]] = json.loads((FIXTURES / "sent.json").read_text(encoding="utf-8"))
CONVERSATIONS = {"sessions": "crm.conversations", "turns": "crm.questions"}
"""Sessions and turns of the user's own, named as the mapping wants them."""


@dataclass(frozen=True)
class Store:
    """A table that a package wrote, and what a user configures to have it read."""

    sent_as: str
    preset: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    identifiers: Mapping[str, str] = field(default_factory=dict)

    @property
    def dump(self) -> str:
        """Name of the dump that holds it."""
        return self.sent_as.partition("/")[0]

    @property
    def settings(self) -> SourceSettings:
        """As [source] would say it."""
        return SourceSettings((self.preset,), CONVERSATIONS, None, self.parameters, self.identifiers)

    @property
    def toml(self) -> str:
        """As a shadowdiff.toml."""
        lines = [
            "[source]",
            f"preset = '{self.preset}'",
            *(f"{part} = '{name}'" for part, name in CONVERSATIONS.items()),
        ]
        for section in ("parameters", "identifiers"):
            lines += [f"[source.{section}]", *(f"{key} = '{value}'" for key, value in getattr(self, section).items())]
        return "\n".join(lines)

    @property
    def entries(self) -> dict[tuple[str, str], Entry]:
        """What must be found, by org and entry id."""
        rows = SENT[self.sent_as]
        return {(row["org_id"], row["entry_id"]): entry(row) for row in rows}

    @property
    def vectors(self) -> dict[tuple[str, str], list[float]]:
        """What must be found, by org and entry id."""
        return {(row["org_id"], row["entry_id"]): row["embedding"] for row in SENT[self.sent_as]}


def entry(row: Mapping[str, Any]) -> Entry:
    """One entry as it was sent."""
    changed = datetime.fromisoformat(row["updated_at"]) if row["updated_at"] else None
    return Entry(row["org_id"], row["entry_id"], row["title"], row["body"], changed)


IN_JSON = {"entry_org_key": "tenant"}
RENAMED = {
    "table": "support.Help Columns",
    "id_column": "article_id",
    "content_column": "article",
    "embedding_column": "minilm",
    "metadata_column": "extra",
    "org_column": "tenant",
    "updated_column": "changed",
}
LANGCHAIN = Store("langchain/help", "langchain", {"collection": "help", **IN_JSON})
ARTICLES = Store("langchain-table/help_articles", "langchain-table", IN_JSON, {"table": "help_articles"})
COLUMNS = Store("langchain-table/support.Help Columns", "langchain-table", {}, RENAMED)
NODES = Store("llamaindex/public.data_help", "llamaindex", IN_JSON, {"table": "public.data_help"})
HYBRID = Store("llamaindex/public.data_help_hybrid", "llamaindex", IN_JSON, {"table": "data_help_hybrid"})
HALF = Store("llamaindex/support.data_help_half", "llamaindex", IN_JSON, {"table": "support.data_help_half"})
COMMUNITY = Store("langchain-community/langchain", "langchain", IN_JSON, {"id_column": "custom_id"})
STORES = (LANGCHAIN, COMMUNITY, ARTICLES, COLUMNS, NODES, HYBRID, HALF)

every_store = pytest.mark.parametrize("store", STORES, ids=lambda store: store.sent_as)
one_of_each_preset = pytest.mark.parametrize("store", [LANGCHAIN, COLUMNS, NODES], ids=lambda store: store.preset)


@pytest.fixture(scope="module")
def dumped(make_database: MakeDatabase) -> Mapping[str, str]:
    """Names of template databases by dump: what the packages wrote, beside tables for conversations."""
    templates = {}
    for dump in FIXTURES.glob("*.sql"):
        url = make_database(None)
        run(url, dump.read_text(encoding="utf-8"))
        run(url, CONVERSATION_TABLES)
        templates[dump.stem] = str(parse_url(url).database)
    return templates


CONVERSATION_TABLES = """
CREATE SCHEMA crm;
CREATE TABLE crm.conversations (session_id bigint PRIMARY KEY, org_id text, started_at timestamp);
CREATE TABLE crm.questions (
    session_id bigint REFERENCES crm.conversations, turn_id text PRIMARY KEY, query text, asked_at timestamp,
    query_embedding real[]
);
"""


def run(url: str, sql: str) -> None:
    """Run a whole script, as psql would."""
    engine = create_engine(parse_url(url), isolation_level="AUTOCOMMIT")
    raw = engine.raw_connection()
    try:
        raw.cursor().execute(sql)
    finally:
        raw.close()
        engine.dispose()


@contextmanager
def reading(url: str, store: Store) -> Iterator[PostgresSource]:
    """The store as a source."""
    engine = source_engine(url)
    yield PostgresSource(engine, source_mapping(store.settings))
    engine.dispose()


def ids_by_org(entries: Mapping[tuple[str, str], Entry]) -> dict[str, set[str]]:
    """Entry ids by org."""
    found: dict[str, set[str]] = defaultdict(set)
    for org_id, entry_id in entries:
        found[org_id].add(entry_id)
    return found


@every_store
def test_entries_come_back_as_they_were_sent(store: Store, make_database: MakeDatabase, dumped: Any) -> None:
    """Ids, orgs, titles, bodies and times, looked up by id; one without metadata is in the org "default"."""
    with reading(make_database(dumped[store.dump]), store) as source:
        found = source.entries(ids_by_org(store.entries))
    assert found == store.entries
    assert {org_id for org_id, _ in found} == {"halden-vault", "tallywage", "default"}
    assert {None} < {item.updated_at for item in found.values()}


@every_store
def test_a_knowledge_base_is_read_whole(store: Store, make_database: MakeDatabase, dumped: Any) -> None:
    """Every entry of the org once, ordered by id, and nobody else's: also where a node was added twice."""
    with reading(make_database(dumped[store.dump]), store) as source:
        for org_id in ids_by_org(store.entries):
            own = [item for item in store.entries.values() if item.org_id == org_id]
            assert list(source.org_entries(org_id)) == sorted(own, key=lambda item: item.entry_id)


@every_store
def test_embeddings_come_back_as_they_were_sent(store: Store, make_database: MakeDatabase, dumped: Any) -> None:
    """To the precision of the column: single, or half where `use_halfvec` was on."""
    with reading(make_database(dumped[store.dump]), store) as source:
        found = source.entry_vectors(ids_by_org(store.entries))
    assert found.keys() == store.vectors.keys()
    precision = 2**-11 if store is HALF else 2**-23
    for key, sent in store.vectors.items():
        np.testing.assert_allclose(found[key], np.array(sent, np.float32), rtol=precision)


def test_one_collection_or_each_an_org(make_database: MakeDatabase, dumped: Any) -> None:
    """A named collection hides the others; "*" reads all, each as an org of its name."""
    url = make_database(dumped["langchain"])
    everything = Store("langchain/help", "langchain", {"collection": "*", "entry_org_key": "tenant"})
    with reading(url, LANGCHAIN) as source:
        assert not [item for item in source.org_entries("halden-vault") if item.entry_id.startswith("draft-")]
    with reading(url, everything) as source:
        assert [item.entry_id for item in source.org_entries("drafts")] == sorted(
            row["entry_id"] for row in SENT["langchain/drafts"]
        )
        assert len(list(source.org_entries("help"))) == len(SENT["langchain/help"])
        assert not list(source.org_entries("halden-vault"))


def test_a_table_without_json_metadata(make_database: MakeDatabase, dumped: Any) -> None:
    """`store_metadata=False` leaves columns only: what they do not hold is absent, and the rest is read as ever."""
    url = make_database(dumped[COLUMNS.dump])
    run(url, 'ALTER TABLE support."Help Columns" DROP COLUMN extra')
    with reading(url, COLUMNS) as source:
        found = source.entries(ids_by_org(COLUMNS.entries))
    assert found == {key: replace(item, title="") for key, item in COLUMNS.entries.items()}


@one_of_each_preset
def test_one_knowledge_base_for_all_orgs(store: Store, make_database: MakeDatabase, dumped: Any) -> None:
    """With the org handed on under another name, every org finds every entry."""
    shared = Store(store.sent_as, store.preset, store.parameters, {**store.identifiers, "org_as": "ignored"})
    ids = {entry_id for _, entry_id in store.entries}
    with reading(make_database(dumped[store.dump]), shared) as source:
        found = source.entries({"anybody": ids, "somebody else": ids})
        assert {item.entry_id for item in source.org_entries("anybody")} == ids
    assert found.keys() == {(org_id, entry_id) for org_id in ("anybody", "somebody else") for entry_id in ids}


@one_of_each_preset
def test_times_without_zone_are_in_the_zone_that_is_configured(
    store: Store, make_database: MakeDatabase, dumped: Any
) -> None:
    """Only they move; a time with an offset, or in a column that knows its zone, says when it was."""
    parameters = {**store.parameters, "entry_updated_zone": "Asia/Tokyo"}
    moved = Store(store.sent_as, store.preset, parameters, store.identifiers)
    with reading(make_database(dumped[store.dump]), moved) as source:
        found = source.entries(ids_by_org(store.entries))
    shifts = {
        (item.updated_at - found[key].updated_at).total_seconds() / 3600  # type: ignore[operator]
        for key, item in store.entries.items()
        if item.updated_at
    }
    assert shifts == ({0} if store is COLUMNS else {0, 9})


@one_of_each_preset
def test_entries_are_looked_up_through_an_index(store: Store, make_database: MakeDatabase, dumped: Any) -> None:
    """A lookup by ids never reads the whole table: the filter reaches the id's index through the preset's SQL."""
    url = grown(make_database(dumped[store.dump]), store)
    with reading(url, store) as source, captured(source) as statements:
        assert source.entries(ids_by_org(store.entries)) == store.entries
        source.entry_vectors(ids_by_org(store.entries))
    assert len(statements) == 2
    for plan in plans(url, statements):
        assert re.search(r"Index (Only )?Scan (using|on)", plan), plan
        assert not re.search(r"Seq Scan on (langchain_pg_embedding|\"Help Columns\"|data_help)", plan), plan


def test_the_advised_index_serves_a_whole_knowledge_base(make_database: MakeDatabase, dumped: Any) -> None:
    """The index on the org that the preset's comment proposes is the one that its SQL can use."""
    url = grown(make_database(dumped[LANGCHAIN.dump]), LANGCHAIN)
    with reading(url, LANGCHAIN) as source, captured(source) as statements:
        assert len(source.org_entries("tallywage")) == 20
    (plan,) = plans(url, statements)
    assert "langchain_pg_embedding_coalesce_idx" in plan, plan


def grown(url: str, store: Store) -> str:
    """With so many rows that reading them all costs more than an index, and the indexes that the preset advises."""
    run(url, MANY_MORE[store.preset])
    comments = files("shadowdiff.sources").joinpath("presets", f"{store.preset}.toml").read_text(encoding="utf-8")
    advised = re.findall(r"^#\s+(CREATE INDEX .*;)$", comments, re.MULTILINE)
    assert len(advised) == (0 if store is COLUMNS else 1)
    for statement in (*advised, "ANALYZE"):
        run(url, statement)
    return url


MANY_MORE = {
    "langchain": """
        INSERT INTO public.langchain_pg_embedding (id, collection_id, embedding, document, cmetadata)
        SELECT id || n, collection_id, embedding, document, cmetadata || jsonb_build_object('tenant', 'org-' || n)
          FROM public.langchain_pg_embedding, generate_series(1, 200) AS n
    """,
    "langchain-table": """
        INSERT INTO support."Help Columns"
        SELECT article_id || n, article, minilm, article_tsv, tenant, changed, extra
          FROM support."Help Columns", generate_series(1, 200) AS n
    """,
    "llamaindex": """
        INSERT INTO public.data_help (text, metadata_, node_id, embedding)
        SELECT text, metadata_, node_id || n, embedding
          FROM public.data_help, generate_series(1, 200) AS n
    """,
}


@contextmanager
def captured(source: PostgresSource) -> Iterator[list[tuple[str, Any]]]:
    """Every statement that reads entries, with its parameters, as it goes to the server."""
    statements: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, ___: Any, ____: bool) -> None:
        if "any(" in statement:
            statements.append((statement, parameters))

    event.listen(source._engine, "before_cursor_execute", note)
    yield statements
    event.remove(source._engine, "before_cursor_execute", note)


def plans(url: str, statements: Sequence[tuple[str, Any]]) -> list[str]:
    """How the server would carry each out, as text."""
    engine = create_engine(parse_url(url))
    with engine.connect() as connection:
        found = [connection.exec_driver_sql(f"EXPLAIN {statement}", values) for statement, values in statements]
        texts = ["\n".join(row[0] for row in result) for result in found]
    engine.dispose()
    return texts


@every_store
def test_replay_from_the_command_line(
    store: Store, make_database: MakeDatabase, dumped: Any, empty_url: str, sample: Bundle, cli: Cli, tmp_path: Path
) -> None:
    """Own conversations, entries from the preset: A surfaces what is nearest among what was sent, in that order."""
    url = make_database(dumped[store.dump])
    asked = converse(url, sample)
    (tmp_path / "shadowdiff.toml").write_text(store.toml, encoding="utf-8")
    done = cli(
        *("replay", "--last", "2", "-A", "cosine", "-B", "bm25", "--pool-from", "cosine", "--format", "json"),
        env={"SHADOWDIFF_DATABASE_URL": url, "SHADOWDIFF_STORE_URL": empty_url},
    )
    assert (done.code, done.err) == (0, "")
    result = json.loads(done.out)
    assert [item["org_id"] for item in result["sessions"]] == ["halden-vault", "tallywage"]
    assert result["summary"]["failed_turns"] == 0
    for session in result["sessions"]:
        for turn in session["turns"]:
            surfaced = [item["entry_id"] for item in turn["rankings"]["A"]]
            assert surfaced == nearest(store, session["org_id"], asked[turn["turn_id"]])[: len(surfaced)]
            assert {item["entry_id"] for item in turn["rankings"]["B"]} <= ids_by_org(store.entries)[session["org_id"]]


def converse(url: str, sample: Bundle) -> dict[str, list[float]]:
    """Put the newest two conversations of both orgs into tables of one's own; query vectors by turn id."""
    assert sample.embeddings is not None
    rows = zip([turn for item in sample.sessions for turn in item.turns], sample.embeddings.turns, strict=True)
    vectors = {turn.turn_id: vector[:48].astype(float).tolist() for turn, vector in rows}
    newest = sorted(sample.sessions, key=lambda item: item.started_at)
    chosen = [[item for item in newest if item.org_id == org_id][-2:] for org_id in ("halden-vault", "tallywage")]
    engine = create_engine(parse_url(url))
    with engine.begin() as connection:
        for number, session in enumerate(item for pair in zip(*chosen, strict=True) for item in pair):
            _insert(connection, number, session, vectors)
    engine.dispose()
    return vectors


def _insert(connection: Connection, number: int, session: Session, vectors: Mapping[str, list[float]]) -> None:
    moment = datetime(2026, 11, 1, number)  # noqa: DTZ001
    head = {"id": number, "org": session.org_id, "at": moment}
    connection.execute(text("INSERT INTO crm.conversations VALUES (:id, :org, :at)"), head)
    for turn in session.turns:
        row = head | {"turn": turn.turn_id, "query": turn.search_text, "vector": vectors[turn.turn_id]}
        connection.execute(text("INSERT INTO crm.questions VALUES (:id, :turn, :query, :at, :vector)"), row)


def nearest(store: Store, org_id: str, query: list[float]) -> list[str]:
    """Entry ids of the org by cosine over what was sent, best first."""
    own = {entry_id: np.array(vector) for (org, entry_id), vector in store.vectors.items() if org == org_id}
    cosines = {name: float(vector @ query / np.linalg.norm(vector)) for name, vector in own.items()}
    return sorted(cosines, key=lambda name: -cosines[name])
