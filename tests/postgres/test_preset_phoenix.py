"""The phoenix preset on what a real Phoenix wrote, against what was sent to it: see fixtures/phoenix/record.py."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text

from shadowdiff.config import SourceSettings
from shadowdiff.database import parse_url, source_engine
from shadowdiff.errors import ConfigError
from shadowdiff.records import Session, Turn, Window
from shadowdiff.sources.mapping import source_mapping
from shadowdiff.sources.postgres import PostgresSource
from tests.conftest import Cli, MakeDatabase
from tests.fixtures.phoenix import sent

SENT = {session.session_id: session for session in sent.read()}
KINDS = sorted({turn.kind for session in SENT.values() for turn in session.turns})
OF_FRAMEWORKS = ["li-0001", "lc-0001", "hs-0001"]
NEWEST_FIRST = ["qm-f53e", "rf-f4b6", "fl-2ad8", "tw-d26a", "hv-c19e", "hv-7f3a", "rf-c107", "qm-84f2"]
Opened = Callable[..., PostgresSource]


@pytest.fixture(scope="module")
def phoenix_template(make_database: MakeDatabase) -> str:
    """Name of a database with what Phoenix wrote, to copy."""
    url = make_database(None)
    execute(url, sent.DUMP.read_text(encoding="utf-8"))
    return str(parse_url(url).database)


@pytest.fixture(scope="module")
def recorded_url(make_database: MakeDatabase, phoenix_template: str) -> str:
    """A copy for tests that only read."""
    return make_database(phoenix_template)


@pytest.fixture(scope="module")
def overwritten_url(make_database: MakeDatabase, phoenix_template: str) -> str:
    """A copy for the tests that put other texts into the same root."""
    return make_database(phoenix_template)


@pytest.fixture
def changed_url(make_database: MakeDatabase, phoenix_template: str) -> str:
    """A copy for a test that changes it."""
    return make_database(phoenix_template)


@pytest.fixture(scope="module")
def opened() -> Iterator[Opened]:
    """Opens a database through the preset; `settings` are those of [source]."""
    engines: dict[str, Engine] = {}

    def open_source(url: str, **settings: Any) -> PostgresSource:
        if url not in engines:
            engines[url] = source_engine(url)
        return PostgresSource(engines[url], source_mapping(SourceSettings(presets=("phoenix",), **settings)))

    yield open_source
    for engine in engines.values():
        engine.dispose()


@pytest.fixture(scope="module")
def found(opened: Opened, recorded_url: str) -> dict[str, Session]:
    """Every session, by id."""
    return read_all(opened(recorded_url))


def execute(url: str, statements: str) -> None:
    """Any number of statements, as they are."""
    engine = create_engine(parse_url(url))
    connection = engine.raw_connection()
    try:
        connection.cursor().execute(statements)
        connection.commit()
    finally:
        connection.close()
        engine.dispose()


def read_all(source: PostgresSource) -> dict[str, Session]:
    """Every session, by id."""
    return {session.session_id: session for session in source.sessions(Window())}


def turns_of_kind(found: Mapping[str, Session], kind: str) -> list[tuple[sent.SentTurn, Turn]]:
    """What was sent beside what is read."""
    read = {turn.turn_id: turn for session in found.values() for turn in session.turns}
    wanted = [turn for session in SENT.values() for turn in session.turns if turn.kind == kind]
    return [(turn, read[turn.turn_id]) for turn in wanted]


def test_sessions_are_those_in_which_something_was_retrieved(found: dict[str, Session]) -> None:
    """With their orgs and tags, and each with exactly the turns that were sent, in order."""
    assert set(found) == set(SENT)
    for session_id, session in found.items():
        wanted = SENT[session_id]
        assert (session.org_id, dict(session.tags)) == (wanted.org_id, wanted.tags), session_id
        assert [turn.turn_id for turn in session.turns] == [turn.turn_id for turn in wanted.turns], session_id
        assert all(turn.asked_at >= session.started_at for turn in session.turns)


@pytest.mark.parametrize("kind", KINDS)
def test_a_turn_says_what_was_asked_and_answered(found: dict[str, Session], kind: str) -> None:
    """The user's words, what was searched with where that differs, the answer, and the model that ranked."""
    for wanted, turn in turns_of_kind(found, kind):
        said = (turn.query, turn.search_query, turn.answer, turn.served_by)
        assert said == (wanted.query, wanted.search_query, wanted.answer, wanted.served_by)


@pytest.mark.parametrize("kind", KINDS)
def test_pool_and_served_are_what_the_spans_say(found: dict[str, Session], kind: str) -> None:
    """Every entry with its text, title and score, in order; and the served list to the last place."""
    for wanted, turn in turns_of_kind(found, kind):
        pool = [
            sent.SentEntry(item.entry_id, item.title or "", sent.fingerprint(item.body or ""), item.score)
            for item in turn.recorded_pool or ()
        ]
        assert pool == wanted.pool
        assert turn.served == tuple(wanted.served)
        assert set(wanted.served) <= {item.entry_id for item in pool}


def test_the_newest_sessions_are_the_newest_that_retrieved(opened: Opened, recorded_url: str) -> None:
    """A newer session of small talk takes nobody's place, nor do the traces of an experiment."""
    source = opened(recorded_url)
    assert source.session_ids(Window(last=10)) == [*NEWEST_FIRST[6::-1], *OF_FRAMEWORKS]
    assert source.session_ids(Window(last=3)) == OF_FRAMEWORKS


def test_experiments_are_there_and_left_out(opened: Opened, changed_url: str) -> None:
    """Phoenix keeps an experiment's traces in a project of their own, which retrieved and reranked like any other."""
    source = opened(changed_url)
    of_experiments = (
        "SELECT t.trace_id FROM experiments e JOIN projects p ON p.name = e.project_name "
        "JOIN traces t ON t.project_rowid = p.id JOIN spans s ON s.trace_rowid = t.id AND s.span_kind = 'RERANKER'"
    )
    ids = source.read("traces", lambda c: c.execute(text(of_experiments)).scalars().all())
    assert len(ids) == 1
    assert ids[0] not in source.session_ids(Window())
    execute(changed_url, "DELETE FROM experiments")
    assert ids[0] in source.session_ids(Window())


def test_traces_without_session_can_be_skipped(opened: Opened, recorded_url: str) -> None:
    """By a parameter; else each is a session under its trace's id."""
    skipping = opened(recorded_url, parameters={"traces_without_session": "skip"})
    alone = {session_id for session_id, session in SENT.items() if session.org_id == "freightloom"} - {"fl-2ad8"}
    assert len(alone) == 4
    assert set(read_all(skipping)) == set(SENT) - alone


def test_orgs_are_projects(opened: Opened, recorded_url: str) -> None:
    """And can be selected, or refused, by name."""
    source = opened(recorded_url)
    assert source.session_ids(Window(org_ids=("halden-vault",))) == ["hv-7f3a", "hv-c19e"]
    with pytest.raises(ConfigError, match=r"unknown org: 'halden'.*'halden-vault'"):
        source.session_ids(Window(org_ids=("halden",)))


def test_orgs_can_come_from_metadata(opened: Opened, recorded_url: str) -> None:
    """From the root's or the retrieval's; where the key is absent, the project stays the org."""
    source = opened(recorded_url, parameters={"org_key": "plan"})
    assert source.session_ids(Window(org_ids=("pro",))) == ["li-0001"]
    session = read_all(source)["li-0001"]
    assert dict(session.tags) == {"user": "anna", "plan": "pro", "project": "llama-index"}
    held = {entry.entry_id for entry in source.org_entries("pro")}
    assert held == {entry.entry_id for turn in SENT["li-0001"].turns for entry in turn.pool}
    assert source.org_entries("llama-index") == []
    assert read_all(source)["hs-0001"].org_id == "haystack"


def test_entries_can_be_known_by_a_key_of_their_metadata(opened: Opened, recorded_url: str) -> None:
    """In pools, served lists and the knowledge base alike, as LangChain's traces hold no ids."""
    source = opened(recorded_url, parameters={"entry_id_key": "title"})
    turn = read_all(source)["lc-0001"].turns[0]
    wanted = SENT["lc-0001"].turns[0]
    titles = {entry.entry_id: entry.title for entry in wanted.pool}
    assert turn.served == tuple(titles[entry_id] for entry_id in wanted.served)
    assert [item.entry_id for item in turn.recorded_pool or ()] == list(dict.fromkeys(titles.values()))
    assert {entry.entry_id for entry in source.org_entries("langchain")} >= set(titles.values())


def test_entries_are_what_was_seen_of_the_knowledge_base(opened: Opened, recorded_url: str) -> None:
    """Every document of an org's pools, with title and text; ids of other orgs are absent."""
    source = opened(recorded_url)
    pools = [turn.pool for session in SENT.values() if session.org_id == "halden-vault" for turn in session.turns]
    seen = {entry.entry_id: entry for pool in pools for entry in pool}
    held = {entry.entry_id: entry for entry in source.org_entries("halden-vault")}
    assert set(held) == set(seen)
    assert all((held[key].title, sent.fingerprint(held[key].body)) == (e.title, e.body) for key, e in seen.items())
    wanted = {"halden-vault": {"hv-kb-001", "qm-kb-069"}, "quillmetric": {"qm-kb-069"}}
    assert set(source.entries(wanted)) == {("halden-vault", "hv-kb-001"), ("quillmetric", "qm-kb-069")}


def test_entries_have_their_latest_text(opened: Opened, changed_url: str) -> None:
    """Where a document was edited, the newest retrieval decides."""
    newest = (
        "SELECT d.id FROM spans d JOIN traces t ON t.id = d.trace_rowid JOIN projects p ON p.id = t.project_rowid "
        "WHERE p.name = 'ringfathom' AND d.attributes -> 'retrieval' ? 'documents' ORDER BY t.start_time DESC LIMIT 1"
    )
    documents = '[{"document": {"id": "rf-kb-001", "content": "edited"}}]'
    execute(
        changed_url,
        "UPDATE spans SET attributes = jsonb_set(attributes, array['retrieval', 'documents'], "
        f"'{documents}') WHERE id = ({newest})",
    )
    key = ("ringfathom", "rf-kb-001")
    assert opened(changed_url).entries({"ringfathom": {"rf-kb-001"}})[key].body == "edited"
    assert len(opened(changed_url, parameters={"entries_from": "1"}).org_entries("ringfathom")) == 1


def test_phoenix_in_a_schema_of_its_own(opened: Opened, changed_url: str) -> None:
    """PHOENIX_SQL_DATABASE_SCHEMA is one setting here too."""
    execute(changed_url, 'ALTER SCHEMA public RENAME TO "Traces 2"')
    assert set(read_all(opened(changed_url, identifiers={"schema": "Traces 2"}))) == set(SENT)


def test_a_role_that_may_only_read_five_tables_suffices(opened: Opened, changed_url: str) -> None:
    """Nothing else of Phoenix's database, with its users and keys, need be shown to shadowdiff."""
    role = f"reader_{uuid.uuid4().hex[:12]}"
    tables = "projects, project_sessions, traces, spans, experiments"
    execute(changed_url, f"CREATE ROLE {role} LOGIN; GRANT SELECT ON {tables} TO {role}")
    url = parse_url(changed_url).set(username=role).render_as_string(hide_password=False)
    source = opened(url)
    assert set(read_all(source)) == set(SENT)
    assert source.org_entries("halden-vault")
    execute(changed_url, f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_part_of_ones_own(opened: Opened, recorded_url: str) -> None:
    """The rest of the preset stays: here the org is the user."""
    sessions = """
        SELECT s.session_id, s.start_time AS started_at, u.name AS org_id
          FROM project_sessions s
         CROSS JOIN LATERAL (SELECT min(d.attributes -> 'user' ->> 'id') AS name
                               FROM traces t JOIN spans d ON d.trace_rowid = t.id
                              WHERE t.project_session_rowid = s.id) u
    """
    source = opened(recorded_url, parts={"sessions": sessions})
    assert source.session_ids(Window(org_ids=("anna",))) == ["li-0001"]
    assert [turn.served for turn in read_all(source)["li-0001"].turns] == [
        tuple(turn.served) for turn in SENT["li-0001"].turns
    ]


INPUTS = [
    ("plain text", "plain text"),
    ('{"question": "quoted \\"so\\", a \\\\ and a\\nline"}', 'quoted "so", a \\ and a\nline'),
    ('{"question": "M\\u00fcnchen \\ud83d\\ude80"}', "München 🚀"),
    ('{"data": {"retriever": {"query": "nested"}, "top_k": 3}}', "nested"),
    ('{"input": "second choice", "question": "first choice"}', "first choice"),
    ('{"question": "", "input": "the other is empty"}', "the other is empty"),
    ('{"question": "cut off after this", "history": ["a", "b', "cut off after this"),
    ('{"question": "cut off in the mid', '{"question": "cut off in the mid'),
    ('{"question": "no such escape \\q"}', '{"question": "no such escape \\q"}'),
    ('{"question": "half a pair \\ud83d!"}', '{"question": "half a pair \\ud83d!"}'),
    ('{"question": "zero \\u0000"}', '{"question": "zero \\u0000"}'),
    ('{"question": {"text": "an object"}}', '{"question": {"text": "an object"}}'),
    ("{not json at all}", "{not json at all}"),
    ('{"messages": [{"role": "user", "content": "old"}, {"role": "user", "content": "new"}]}', "new"),
    ('{"messages": [{"role": "user", "content": "mine"}, {"role": "assistant", "content": "yours"}]}', "mine"),
    ('[{"content": "hi", "additional_kwargs": {}, "response_metadata": {}, "type": "human", "id": null}]', "hi"),
    ('{"messages": [["system", "be kind"], ["user", "a pair"]]}', "a pair"),
    ('{"messages": [{"role": "user", "content": [{"type": "text", "text": "a part"}]}]}', "a part"),
    ('{"messages": [{"role": "system", "content": "no user"}]}', None),
]


@pytest.mark.parametrize(("written", "query"), INPUTS, ids=[str(number) for number in range(len(INPUTS))])
def test_queries_in_json(opened: Opened, overwritten_url: str, written: str, query: str | None) -> None:
    """Whatever a root's input holds, the statement succeeds, and finds the text where there is one."""
    (turn,) = [turn for turn in SENT["li-0001"].turns if turn.kind == "LlamaIndex reranker"]
    root = (
        "UPDATE spans SET attributes = jsonb_set(attributes, array['input', 'value'], to_jsonb(%s::text)) "
        "WHERE parent_id IS NULL AND trace_rowid = (SELECT trace_rowid FROM spans WHERE span_id = %s)"
    )
    engine = create_engine(parse_url(overwritten_url))
    with engine.begin() as connection:
        connection.exec_driver_sql(root, (written, turn.turn_id))
    engine.dispose()
    found = read_all(opened(overwritten_url))["li-0001"].turns[0]
    assert found.query == (written if query is None else query)
    assert found.search_query == turn.query


def test_other_keys_of_json_inputs(opened: Opened, changed_url: str) -> None:
    """A product's own key is a parameter."""
    execute(
        changed_url,
        "UPDATE spans SET attributes = jsonb_set(attributes, array['input', 'value'], "
        """'"{\\"utterance\\": \\"mine\\", \\"question\\": \\"not mine\\"}"') WHERE parent_id IS NULL""",
    )
    turn = read_all(opened(changed_url, parameters={"query_keys": "utterance question"}))["qm-f53e"].turns[0]
    assert turn.query == "mine"


GROWN = """
INSERT INTO project_sessions (id, session_id, project_id, start_time, end_time)
SELECT 1000 + n, 'more-' || n, 2 + n % 5, now() - n * interval '1 minute', now()
  FROM generate_series(1, 4000) AS n;
INSERT INTO traces (id, project_rowid, trace_id, start_time, end_time, project_session_rowid)
SELECT 1000 + n, 2 + (n % 4000 + 1) % 5, md5(n::text), now() - n * interval '1 minute', now(), 1001 + n % 4000
  FROM generate_series(1, 12000) AS n;
INSERT INTO spans (id, trace_rowid, span_id, parent_id, name, span_kind, start_time, end_time, attributes, events,
                   status_code, status_message, cumulative_error_count, cumulative_llm_token_count_prompt,
                   cumulative_llm_token_count_completion)
SELECT 10000 + n, 1001 + n % 12000, to_char(n, 'FM0000000000000000'),
       CASE WHEN n > 12000 THEN to_char(n % 12000, 'FM0000000000000000') END, 'span',
       (array['CHAIN', 'RETRIEVER', 'RERANKER', 'LLM', 'LLM'])[1 + (n - 1) / 12000], now(), now(),
       CASE WHEN n BETWEEN 12001 AND 24000
       THEN '{"retrieval": {"documents": [{"document": {"id": "x", "content": "x"}}]}}'::jsonb
       WHEN n BETWEEN 24001 AND 36000
       THEN '{"reranker": {"input_documents": [{"document": {"id": "x"}}],
                           "output_documents": [{"document": {"id": "x"}}]}}'::jsonb
       ELSE '{}'::jsonb END, '[]', 'OK', '', 0, 0, 0
  FROM generate_series(1, 60000) AS n;
ANALYZE;
"""


@pytest.fixture(scope="module")
def grown_url(make_database: MakeDatabase, phoenix_template: str) -> str:
    """A copy with 4,000 sessions, 12,000 traces and 60,000 spans more."""
    url = make_database(phoenix_template)
    execute(url, GROWN)
    return url


@contextmanager
def statements_of(source: PostgresSource) -> Iterator[list[tuple[str, Any]]]:
    """What is sent meanwhile, with its parameters."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    event.listen(source._engine, "before_cursor_execute", note)
    yield seen
    event.remove(source._engine, "before_cursor_execute", note)


def plans(url: str, seen: list[tuple[str, Any]]) -> list[str]:
    """How the server goes about each statement that reads spans."""
    engine = create_engine(parse_url(url))
    with engine.connect() as connection:
        found = [
            "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())
            for statement, parameters in seen
            if "spans" in statement and "LIMIT 0" not in statement
        ]
    engine.dispose()
    return found


def test_indexes_serve_every_statement_of_a_replay(opened: Opened, grown_url: str) -> None:
    """Of 60,000 spans, 12,000 traces and 4,000 sessions none is read but those of one org's last two hours."""
    source = opened(grown_url)
    window = Window(since=datetime.now(UTC) - timedelta(hours=2), org_ids=("halden-vault",))
    list(source.sessions(window))
    with statements_of(source) as seen:
        found = list(source.sessions(window))
    assert {len(session.turns) for session in found} == {3}
    selection, heads, turns, pool, served = plans(grown_url, seen)
    assert "ix_project_sessions_project_id_start_time" in selection
    assert "uq_project_sessions_session_id" in heads
    assert {"ix_traces_project_session_rowid", "ix_spans_trace_rowid"} <= words(turns)
    assert all("uq_spans_span_id" in plan for plan in (pool, served))
    assert not [line for plan in (selection, heads, turns, pool, served) for line in read_whole(plan)]


def test_over_all_projects_only_sessions_are_sorted(opened: Opened, grown_url: str) -> None:
    """Phoenix has no index on the start alone: its sessions are sorted, its spans still looked up by index."""
    source = opened(grown_url)
    source.session_ids(Window(last=10))
    with statements_of(source) as seen:
        assert len(source.session_ids(Window(last=10))) == 10
    (plan,) = plans(grown_url, seen)
    assert [step.split()[3] for step in read_whole(plan)] == ["project_sessions"]
    assert "ix_spans_trace_rowid" in plan
    # Sorted inside, cut outside: spans are looked up session by session until there are enough.
    assert plan.index("Limit") < plan.index("Incremental Sort") < plan.index("Nested Loop")


def words(plan: str) -> set[str]:
    """Names in a plan."""
    return set(plan.split())


def read_whole(plan: str) -> list[str]:
    """Steps of a plan that read all of a table that grows."""
    return re.findall("Seq Scan on (?:spans|traces|project_sessions).*", plan)


def test_the_command_line_reproduces_what_was_served(
    cli: Cli, recorded_url: str, make_database: MakeDatabase, tmp_path: Path
) -> None:
    """`preset = "phoenix"` is all it takes: A is, turn by turn and place by place, what the spans say."""
    store = make_database(None)
    urls = f"[database]\nurl = {json.dumps(recorded_url)}\n[store]\nurl = {json.dumps(store)}\n"
    (tmp_path / "shadowdiff.toml").write_text(f'{urls}[source]\npreset = "phoenix"\n', encoding="utf-8")
    assert cli("db", "upgrade").code == 0
    finished = cli("replay", "--last", "10", "-A", "served", "-B", "bm25", "--top-k", "30", "--format", "json")
    assert (finished.code, finished.err) == (0, "")
    run = json.loads(finished.out)
    assert {session["session_id"] for session in run["sessions"]} == {*OF_FRAMEWORKS, *NEWEST_FIRST[:7]}
    assert run["summary"]["failed_turns"] == 0
    for session in run["sessions"]:
        wanted = SENT[session["session_id"]].turns
        surfaced = [[item["entry_id"] for item in turn["rankings"]["A"]] for turn in session["turns"]]
        assert surfaced == [turn.served for turn in wanted], session["session_id"]
        assert [len(turn["rankings"]["B"]) for turn in session["turns"]] == [len(turn.pool) for turn in wanted]
