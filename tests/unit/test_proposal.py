"""What a catalogue suggests, and what it must not: names are only hints, and traps look like the real thing."""

from __future__ import annotations

import pytest

from shadowdiff.errors import ConfigError
from shadowdiff.sources.catalogue import Catalogue, Column, ForeignKey, ListShape, Relation, identifier, literal
from shadowdiff.sources.mapping import source_mapping
from shadowdiff.sources.proposal import Choices, Proposal, propose
from shadowdiff.sources.words import words

ALL = frozenset({"sessions", "turns", "pool", "served", "entries"})
PRESETS = {
    "shadowdiff": ALL,
    "phoenix": ALL,
    "langchain": frozenset({"entries"}),
    "langchain-table": frozenset({"entries"}),
    "llamaindex": frozenset({"entries"}),
}
SHORT = {"time": "timestamp with time zone", "naive": "timestamp without time zone", "varchar": "character varying"}


def relation(name: str, columns: str, *, keys: str = "", rows: int | None = 100, schema: str = "public") -> Relation:
    """`name type, …` of columns and `column>table.column, …` of foreign keys; the first column is the primary key."""
    pairs = [item.strip().rsplit(" ", 1) for item in columns.split(",")]
    made = tuple(Column(column, SHORT.get(kind, kind)) for column, kind in pairs)
    links = [item.strip().split(">") for item in keys.split(",") if item]
    foreign = tuple(ForeignKey((own,), (schema, to.split(".")[0]), (to.split(".")[1],)) for own, to in links)
    first = made[0].name
    indexed = frozenset({first, *(own for own, _ in links)})
    return Relation(schema, name, made, "table", rows, True, (first,), frozenset({first}), indexed, foreign)


def proposed(*relations: Relation, choices: Choices | None = None, **seen: object) -> Proposal:
    """The proposal for these tables."""
    return propose(Catalogue(relations, **seen), choices or Choices(), PRESETS)  # type: ignore[arg-type]


CONVERSATIONS = relation("conversations", "id uuid, tenant_id uuid, created_at time")
MESSAGES = relation(
    "messages",
    "id uuid, conversation_id uuid, role text, content text, created_at time",
    keys="conversation_id>conversations.id",
)
DOCUMENTS = relation("documents", "id uuid, tenant_id uuid, title text, body text")


def test_names_alone_link_tables_where_no_key_is_declared() -> None:
    """Many frameworks declare no foreign keys: `chatId` leads to `chats`, if the types agree."""
    found = proposed(
        relation("chats", "id bigint, companyId bigint, startedAt time"),
        relation("questions", "id bigint, chatId bigint, text text, askedAt time"),
    )
    assert found.chosen["sessions"] == "public.chats"
    assert found.chosen["org"] == "companyId"
    other = proposed(
        relation("chats", "id uuid, startedAt time"),
        relation("questions", "id bigint, chatId bigint, text text, askedAt time"),
    )
    assert other.chosen["sessions"] == "chatId", "a bigint names no row by uuid"


def test_a_key_of_org_and_id_leads_by_its_id() -> None:
    """Composite keys of tenant and id are how some keep tenants apart."""
    key = ForeignKey(("tenant_id", "conversation_id"), ("public", "conversations"), ("tenant_id", "id"))
    messages = Relation(
        "public",
        "messages",
        relation("messages", "id uuid, tenant_id uuid, conversation_id uuid, query text, at time").columns,
        key=("tenant_id", "id"),
        foreign_keys=(key,),
    )
    found = proposed(CONVERSATIONS, messages)
    assert found.chosen["sessions"] == "public.conversations"
    assert "turn.conversation_id AS session_id,\n       turn.id AS turn_id" in found.parts["turns"].sql


def test_sessions_that_are_logins_are_no_conversations() -> None:
    """A session_id that happens to fit a table of logins does not make them sessions."""
    logins = relation("user_sessions", "id uuid, user_id uuid, token text, ip_address inet, created_at time")
    searches = relation("searches", "id uuid, session_id uuid, query text, created_at time")
    assert proposed(logins, searches).chosen["sessions"] == "session_id"


def test_tables_with_rows_win_over_empty_ones_of_a_better_name() -> None:
    """A table from a design that was never used, or has been replaced."""
    empty = relation("queries", "id bigint, session_id bigint, query text, asked_at time", rows=0)
    used = relation("search_requests", "id bigint, session_id bigint, query text, asked_at time", rows=9_000)
    found = proposed(empty, used)
    assert found.chosen["turns"] == "public.search_requests"
    assert found.options["turns"] == ("public.search_requests", "public.queries")


@pytest.mark.parametrize(
    "columns",
    [
        "id bigint, actor text, action text, message text, created_at time",
        "id bigint, level text, message text, at time",
    ],
)
def test_logs_of_other_things_are_no_turns(columns: str) -> None:
    """They hold messages with a time, and nobody asked them."""
    found = proposed(relation("audit_log", columns), relation("notifications", columns))
    assert "turns" not in found.chosen
    assert found.missing[0].startswith("turns: ")
    assert not found.is_usable


def test_messages_without_a_user_among_their_roles_are_all_turns() -> None:
    """`type` says many things; only a value that means the user selects by it."""
    kinds = {("public", "messages", "role"): frozenset({"text", "image"})}
    assert "WHERE" not in proposed(CONVERSATIONS, MESSAGES, values=kinds).parts["turns"].sql
    unseen = proposed(CONVERSATIONS, MESSAGES).parts["turns"]
    assert "WHERE turn.role = 'user'" in unseen.sql
    assert any(note.startswith("Assumed: role is 'user'") for note in unseen.notes)


def test_a_flag_may_tell_users_from_bots() -> None:
    """`is_bot` is as good as a role."""
    messages = relation("messages", "id uuid, conversation_id uuid, is_bot boolean, content text, created_at time")
    sql = proposed(CONVERSATIONS, messages).parts["turns"].sql
    assert sql.endswith("WHERE NOT turn.is_bot")


def test_an_org_is_taken_from_one_step_away() -> None:
    """Sessions of a bot that belongs to a tenant; entries with that tenant."""
    found = proposed(
        relation("bots", "id uuid, tenant_id uuid"),
        relation("conversations", "id uuid, bot_id uuid, created_at time", keys="bot_id>bots.id"),
        MESSAGES,
        DOCUMENTS,
    )
    assert found.chosen["org"] == "public.bots.tenant_id"
    assert "owner.tenant_id AS org_id" in found.parts["sessions"].sql
    assert "LEFT JOIN public.bots AS owner ON owner.id = session.bot_id" in found.parts["sessions"].sql
    assert "entry.tenant_id AS org_id" in found.parts["entries"].sql
    assert found.parts["sessions"].reads == (("public", "conversations"), ("public", "bots"))


@pytest.mark.parametrize(
    ("of_sessions", "of_entries"), [("customer_id uuid", "workspace_id uuid"), ("color text", "tenant_id uuid")]
)
def test_orgs_that_do_not_mean_the_same_would_find_no_entry(of_sessions: str, of_entries: str) -> None:
    """So entries are shared by all orgs then, and the file says so where sessions have an org."""
    found = proposed(
        relation("conversations", f"id uuid, {of_sessions}, created_at time"),
        MESSAGES,
        relation("documents", f"id uuid, {of_entries}, title text, body text"),
    )
    assert "org_id" not in found.parts["entries"].sql
    said = any("all orgs share all entries" in note for note in found.parts["entries"].notes)
    assert said == ("org" in found.chosen)


def test_chunks_get_the_title_of_their_document() -> None:
    """Pools name chunks; what a person recognises is the document's title."""
    found = proposed(
        CONVERSATIONS,
        MESSAGES,
        DOCUMENTS,
        relation(
            "chunks", "id bigint, document_id uuid, content text, embedding halfvec", keys="document_id>documents.id"
        ),
        relation(
            "retrieved_chunks",
            "id bigint, message_id uuid, chunk_id bigint, position integer, score real",
            keys="message_id>messages.id,chunk_id>chunks.id",
        ),
    )
    assert found.chosen["entries"] == "public.chunks"
    assert "parent.title AS title" in found.parts["entries"].sql
    assert "owner.tenant_id AS org_id" in found.parts["entries"].sql
    assert "listed.position AS rank" in found.parts["pool"].sql


def test_pool_and_served_may_be_stages_of_one_table() -> None:
    """One table of results with a stage is common where a reranker was added later."""
    stages = {("public", "results", "stage"): frozenset({"retrieved", "reranked"})}
    found = proposed(
        relation("queries", "id bigint, session_id text, query text, asked_at time"),
        relation("results", "id bigint, query_id bigint, article_id bigint, stage text, rank integer"),
        relation("articles", "id bigint, body text"),
        values=stages,
    )
    assert found.parts["pool"].sql.endswith("WHERE listed.stage = 'retrieved'")
    assert found.parts["served"].sql.endswith("WHERE listed.stage = 'reranked'")


def test_lists_of_other_keys_than_the_pools_are_spelled_out() -> None:
    """[source.json] holds one set of keys; a second list with other keys becomes SQL of its own."""
    turns = relation("queries", "id bigint, session_id text, query text, asked_at time, candidates jsonb, shown jsonb")
    shapes = {
        ("public", "queries", "candidates"): (
            ListShape(None, "object", {"doc_id": ("string", "d1"), "similarity": ("number", "0.5")}),
        ),
        ("public", "queries", "shown"): (ListShape(None, "object", {"ref": ("string", "d1")}),),
    }
    found = proposed(turns, shapes=shapes)
    assert found.json_keys == {"entry_id": "doc_id", "score": "similarity"}
    assert "turn.candidates AS pool" in found.parts["turns"].sql
    assert "shown" not in found.parts["turns"].sql
    assert "item.value ->> 'ref' AS entry_id" in found.parts["served"].sql
    assert found.has == {"pool", "served"}


def test_lists_that_are_no_lists_of_entries_are_left_alone() -> None:
    """Scores, tool calls and objects without any id."""
    columns = (
        "id bigint, session_id text, query text, asked_at time, result_scores jsonb, tool_results jsonb, sources jsonb"
    )
    shapes = {
        ("public", "queries", "result_scores"): (ListShape(None, "number", {"": ("number", "0.25")}),),
        ("public", "queries", "sources"): (ListShape(None, "object", {"color": ("string", "red")}),),
    }
    assert not proposed(relation("queries", columns), shapes=shapes).has


def test_entries_are_known_by_the_id_that_lists_use() -> None:
    """A list of slugs is no list of the table's bigint keys."""
    articles = relation("articles", "id bigint, slug text, title text, body text")
    turns = relation("queries", "id bigint, session_id text, query text, asked_at time, results jsonb")
    shapes = {("public", "queries", "results"): (ListShape(None, "string", {"": ("string", "how-to-pay")}),)}
    assert "entry.slug AS entry_id" in proposed(turns, articles, shapes=shapes).parts["entries"].sql
    assert "entry.id AS entry_id" in proposed(turns, articles).parts["entries"].sql


def test_turns_without_any_session_are_sessions_of_their_own() -> None:
    """A log of single searches still replays."""
    found = proposed(relation("search_log", "id bigint, query text, searched_at time"))
    assert found.chosen["sessions"] == "each turn"
    assert "turn.id AS session_id" in found.parts["sessions"].sql
    assert "GROUP BY" not in found.parts["sessions"].sql


def test_turns_without_a_time_have_that_of_their_session() -> None:
    """Numbered questions of a session that has a start."""
    found = proposed(
        CONVERSATIONS, relation("questions", "id bigint, conversation_id uuid, question text, turn_no integer")
    )
    assert "session.created_at AS asked_at" in found.parts["turns"].sql
    assert "turn.turn_no AS position" in found.parts["turns"].sql
    assert "JOIN public.conversations AS session" in found.parts["turns"].sql


def test_naive_times_ask_for_a_zone_and_the_servers_is_the_guess() -> None:
    """The zone of the server is what DEFAULT now() was written in."""
    turns = relation("queries", "id bigint, session_id text, query text, asked_at naive")
    assert proposed(turns, timezone="Europe/Oslo").timezone == "Europe/Oslo"
    assert proposed(turns, timezone="Europe/Oslo", choices=Choices(timezone="UTC")).timezone == "UTC"
    assert proposed(CONVERSATIONS, MESSAGES, timezone="Europe/Oslo").timezone is None


def test_cosine_is_the_baseline_only_where_queries_have_embeddings_too() -> None:
    """Entries' embeddings alone compare with nothing."""
    entries = relation("documents", "id uuid, body text, embedding vector")
    plain = relation("queries", "id bigint, session_id text, query text, asked_at time")
    embedded = relation("queries", "id bigint, session_id text, query text, asked_at time, query_embedding vector")
    assert (proposed(plain, entries).baseline, proposed(plain, entries).pool_from) == ("bm25", "bm25")
    assert (proposed(embedded, entries).baseline, proposed(embedded, entries).pool_from) == ("cosine", "cosine")


# -- Presets ----------------------------------------------------------------------------------------------------------


def phoenix(schema: str) -> list[Relation]:
    """What of Phoenix's tables tells it."""
    return [
        relation("projects", "id bigint, name text", schema=schema),
        relation("traces", "id bigint, trace_id text, project_rowid bigint, start_time time", schema=schema),
        relation("spans", "id bigint, trace_rowid bigint, span_kind text, attributes jsonb", schema=schema),
    ]


def test_phoenix_is_known_by_its_tables() -> None:
    """Whatever else is there; and not where the preset is not, or is declined."""
    found = proposed(*phoenix("public"), CONVERSATIONS, MESSAGES)
    assert (found.presets, found.identifiers, dict(found.parts)) == (("phoenix",), {}, {})
    assert found.baseline == "served"
    assert proposed(*phoenix("obs")).identifiers == {"schema": "obs"}
    assert proposed(*phoenix("public"), CONVERSATIONS, MESSAGES, choices=Choices(presets=())).presets == ()
    without = propose(Catalogue(tuple(phoenix("public"))), Choices(), {"shadowdiff": ALL})
    assert without.presets == ()


EMBEDDED = relation(
    "langchain_pg_embedding", "id varchar, collection_id uuid, embedding vector, document varchar, cmetadata jsonb"
)


def test_langchains_entries_share_the_sessions_org_only_where_both_have_one() -> None:
    """Metadata of another kind of org, or of none, would leave every session without entries."""
    names = {("public", "langchain_pg_collection", "name"): frozenset({"help"})}

    def shapes(key: str) -> dict[tuple[str, str, str], tuple[ListShape, ...]]:
        held = {key: ("string", "x"), "heading": ("string", "y")}
        return {("public", "langchain_pg_embedding", "cmetadata"): (ListShape(None, "object", held, is_list=False),)}

    same = proposed(CONVERSATIONS, MESSAGES, EMBEDDED, values=names, shapes=shapes("tenant"))
    assert same.presets == ("langchain",)
    assert same.parameters == {"collection": "help", "org_key": "tenant", "title_key": "heading"}
    assert "org_as" not in same.identifiers
    other = proposed(CONVERSATIONS, MESSAGES, EMBEDDED, values=names, shapes=shapes("project"))
    assert other.identifiers["org_as"] == "ignored"
    assert "org_key" not in other.parameters


def test_own_tables_are_proposed_where_nothing_else_fits() -> None:
    """Also empty ones, in a database that holds nothing else."""
    assert proposed(own_sessions=True).presets == ("shadowdiff",)
    assert proposed(own_sessions=False).presets == ("shadowdiff",)
    assert proposed(relation("things", "id bigint"), own_sessions=False).presets == ()
    assert proposed(CONVERSATIONS, MESSAGES, own_sessions=True).presets == ()


# -- Choices ----------------------------------------------------------------------------------------------------------


def test_choices_are_followed_even_where_something_else_is_likelier() -> None:
    """By full name, by name, or left out."""
    other = relation("questions", "id uuid, conversation_id uuid, question text, created_at time")
    for name in ("questions", "public.questions"):
        assert (
            proposed(CONVERSATIONS, MESSAGES, other, choices=Choices(turns=name)).chosen["turns"] == "public.questions"
        )
    left_out = proposed(
        CONVERSATIONS, MESSAGES, DOCUMENTS, choices=Choices(entries="none", org="none", sessions="none")
    )
    assert "entries" not in left_out.parts
    assert "org_id" not in left_out.parts["sessions"].sql
    assert "turn.id AS session_id" in left_out.parts["turns"].sql


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        (Choices(turns="conversations"), "public.conversations cannot be it: turns need an id, a text and a time"),
        (Choices(turns="gone"), "turns 'gone': it is not in this database"),
        (Choices(sessions="documents"), "sessions 'documents': public.documents cannot be it"),
        (Choices(pool="conversations"), "a pool must lead to turns and name entries"),
        (Choices(org="colour"), "org 'colour': no such column in sessions"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_with_what_is_needed(choices: Choices, reason: str) -> None:
    """And nothing else is taken in its place."""
    with pytest.raises(ConfigError, match=reason.replace("(", r"\(")):
        proposed(CONVERSATIONS, MESSAGES, DOCUMENTS, choices=choices)


def test_every_proposal_is_a_mapping() -> None:
    """What is proposed can be read back as `[source]`."""
    found = proposed(CONVERSATIONS, MESSAGES, DOCUMENTS)
    assert set(source_mapping(found.settings()).parts) == {"sessions", "turns", "entries"}
    assert set(source_mapping(found.settings(without=["entries"])).parts) == {"sessions", "turns"}


# -- Names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chatMessages_v2", ("chat", "message", "v", "2")),
        ("KBArticles", ("kb", "article")),
        ("search-queries", ("search", "query")),
        ("user_addresses", ("user", "address")),
        ("Frage_größe", ("frage", "größe")),
        ("status", ("status",)),
        ("", ()),
    ],
)
def test_names_fall_into_small_singular_words(name: str, expected: tuple[str, ...]) -> None:
    """Whatever the convention."""
    assert words(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("messages", "messages"),
        ("user", '"user"'),
        ("Order", '"Order"'),
        ('a"b', '"a""b"'),
        ("x y", '"x y"'),
        ("1st", '"1st"'),
        ("é", '"é"'),
    ],
)
def test_names_are_quoted_where_postgres_needs_it(name: str, expected: str) -> None:
    """Reserved words, capitals and whatever is no plain name."""
    assert identifier(name) == expected


def test_values_are_written_as_literals() -> None:
    """Quotes are doubled, and a backslash means itself."""
    assert literal("it's") == "'it''s'"
    assert literal("a\\'b") == "E'a\\\\''b'"
