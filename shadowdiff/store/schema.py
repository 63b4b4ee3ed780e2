"""Every table shadowdiff owns, in the Postgres schema `shadowdiff`: its own source tables, and the store of runs."""

from __future__ import annotations

from pgvector.sqlalchemy import VECTOR
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

SCHEMA = "shadowdiff"
SOURCE_REVISION = "source_0002"
STORE_REVISION = "store_0005"
SOURCE_TABLES = frozenset({"orgs", "entries", "sessions", "turns", "pool_entries", "served_entries"})

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)

TIMESTAMP = DateTime(timezone=True)

orgs = Table(
    "orgs",
    metadata,
    Column("org_id", Text, primary_key=True),
    Column("embedding_model", Text),
    CheckConstraint("org_id <> ''", name="org_id_not_empty"),
)

entries = Table(
    "entries",
    metadata,
    Column("org_id", Text, ForeignKey(orgs.c.org_id, ondelete="CASCADE"), nullable=False),
    Column("entry_id", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("updated_at", TIMESTAMP),
    Column("embedding", VECTOR()),
    PrimaryKeyConstraint("org_id", "entry_id"),
    CheckConstraint("entry_id <> ''", name="entry_id_not_empty"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("org_id", Text, ForeignKey(orgs.c.org_id, ondelete="CASCADE"), nullable=False),
    Column("started_at", TIMESTAMP, nullable=False),
    Column("tags", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    UniqueConstraint("session_id", "org_id"),
    CheckConstraint("session_id <> ''", name="session_id_not_empty"),
    CheckConstraint("jsonb_typeof(tags) = 'object'", name="tags_is_object"),
)
Index("ix_sessions_newest", sessions.c.started_at.desc(), sessions.c.session_id.desc())
Index("ix_sessions_newest_of_org", sessions.c.org_id, sessions.c.started_at.desc(), sessions.c.session_id.desc())

turns = Table(
    "turns",
    metadata,
    Column("turn_id", Text, primary_key=True),
    Column("session_id", Text, nullable=False),
    Column("org_id", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("query", Text, nullable=False),
    Column("search_query", Text),
    Column("asked_at", TIMESTAMP, nullable=False),
    Column("answer", Text),
    Column("pool_recorded", Boolean, nullable=False),
    Column("served_recorded", Boolean, nullable=False),
    Column("embedding", VECTOR()),
    UniqueConstraint("session_id", "position"),
    UniqueConstraint("turn_id", "org_id"),
    ForeignKeyConstraint(["session_id", "org_id"], [sessions.c.session_id, sessions.c.org_id], ondelete="CASCADE"),
    CheckConstraint("turn_id <> ''", name="turn_id_not_empty"),
    CheckConstraint("position >= 1", name="position_from_1"),
)


def _listed_entries(name: str, *extra: Column[float]) -> Table:
    """A table of ranked entries of a turn; the org in both foreign keys keeps a turn to its own org's entries."""
    return Table(
        name,
        metadata,
        Column("turn_id", Text, nullable=False),
        Column("org_id", Text, nullable=False),
        Column("rank", Integer, nullable=False),
        Column("entry_id", Text, nullable=False),
        *extra,
        PrimaryKeyConstraint("turn_id", "rank"),
        UniqueConstraint("turn_id", "entry_id"),
        ForeignKeyConstraint(["turn_id", "org_id"], [turns.c.turn_id, turns.c.org_id], ondelete="CASCADE"),
        # Checked at commit: when a whole org goes, its entries go before its turns do.
        ForeignKeyConstraint(
            ["org_id", "entry_id"], [entries.c.org_id, entries.c.entry_id], deferrable=True, initially="DEFERRED"
        ),
        Index(f"ix_{name}_entry", "org_id", "entry_id"),
        CheckConstraint("rank >= 1", name="rank_from_1"),
    )


pool_entries = _listed_entries("pool_entries", Column("score", Float))
served_entries = _listed_entries("served_entries")

runs = Table(
    "runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("number", BigInteger, Identity(), nullable=False, unique=True),
    Column("started_at", TIMESTAMP, nullable=False),
    Column("finished_at", TIMESTAMP),
    Column("version", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("config", JSONB, nullable=False),
    Column("summary", JSONB),
    CheckConstraint("status IN ('running', 'done', 'interrupted')", name="status_known"),
    CheckConstraint("status <> 'done' OR (summary IS NOT NULL AND finished_at IS NOT NULL)", name="done_is_summed_up"),
)

run_sides = Table(
    "run_sides",
    metadata,
    Column("run_id", Text, ForeignKey(runs.c.run_id, ondelete="CASCADE"), nullable=False),
    Column("position", SmallInteger, nullable=False),
    Column("label", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("spec", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("min_score", Float),
    PrimaryKeyConstraint("run_id", "position"),
    UniqueConstraint("run_id", "label"),
)

run_sessions = Table(
    "run_sessions",
    metadata,
    Column("run_id", Text, ForeignKey(runs.c.run_id, ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("org_id", Text),
    Column("started_at", TIMESTAMP),
    Column("tags", JSONB),
    Column("turns", Integer),
    PrimaryKeyConstraint("run_id", "position"),
    UniqueConstraint("run_id", "session_id"),
    CheckConstraint(
        "(turns IS NULL) = (org_id IS NULL) AND (turns IS NULL) = (started_at IS NULL)", name="replayed_or_planned"
    ),
)

entry_texts = Table(
    "entry_texts",
    metadata,
    Column("content_hash", LargeBinary, primary_key=True),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    CheckConstraint("octet_length(content_hash) = 32", name="hash_is_sha256"),
)

run_turns = Table(
    "run_turns",
    metadata,
    Column("run_id", Text, nullable=False),
    Column("turn_id", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("query", Text),
    Column("search_query", Text),
    Column("asked_at", TIMESTAMP, nullable=False),
    Column("answer", Text),
    Column("unpooled", Boolean, nullable=False),
    Column("missing_entries", Integer, nullable=False),
    Column("pool_origin", Text, nullable=False),
    Column("pool_hash", LargeBinary, nullable=False),
    Column("pool_entry_ids", ARRAY(Text), nullable=False),
    Column("pool_contents", ARRAY(LargeBinary), nullable=False),
    Column("pool_scores", ARRAY(Float), nullable=False),
    Column("served", ARRAY(Text)),
    Column("served_by", Text),
    Column("query_hash", LargeBinary),
    PrimaryKeyConstraint("run_id", "turn_id"),
    UniqueConstraint("run_id", "session_id", "position"),
    ForeignKeyConstraint(
        ["run_id", "session_id"], [run_sessions.c.run_id, run_sessions.c.session_id], ondelete="CASCADE"
    ),
    CheckConstraint("query IS NOT NULL OR octet_length(query_hash) = 32", name="query_or_its_hash"),
    CheckConstraint("pool_origin IN ('recorded', 'cosine', 'bm25', 'hybrid', 'union')", name="origin_known"),
    CheckConstraint(
        "cardinality(pool_entry_ids) = cardinality(pool_contents) "
        "AND cardinality(pool_entry_ids) = cardinality(pool_scores)",
        name="pool_arrays_aligned",
    ),
)

rankings = Table(
    "rankings",
    metadata,
    Column("run_id", Text, nullable=False),
    Column("turn_id", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("entry_ids", ARRAY(Text), nullable=False),
    Column("scores", ARRAY(Float), nullable=False),
    Column("pairs", Integer, nullable=False),
    Column("cached", Integer, nullable=False),
    Column("truncated", Integer, nullable=False),
    Column("outside_pool", Integer, nullable=False),
    Column("escalated", Boolean),
    Column("altered", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("run_id", "turn_id", "side"),
    ForeignKeyConstraint(["run_id", "turn_id"], [run_turns.c.run_id, run_turns.c.turn_id], ondelete="CASCADE"),
    CheckConstraint("cardinality(entry_ids) = cardinality(scores)", name="arrays_aligned"),
)

failures = Table(
    "failures",
    metadata,
    Column("run_id", Text, nullable=False),
    Column("turn_id", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "turn_id", "side"),
    ForeignKeyConstraint(["run_id", "turn_id"], [run_turns.c.run_id, run_turns.c.turn_id], ondelete="CASCADE"),
)

asks = Table(
    "asks",
    metadata,
    Column("run_id", Text, ForeignKey(runs.c.run_id, ondelete="CASCADE"), nullable=False),
    Column("turn_id", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("seconds", Float),
    Column("waited_seconds", Float, nullable=False),
    Column("search_units", Float, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("repairs", Integer, nullable=False),
    PrimaryKeyConstraint("run_id", "turn_id", "side"),
)
"""Stored with the scores that were asked for, so before the turn is: a kill in between must not lose what was paid."""

score_cache = Table(
    "score_cache",
    metadata,
    Column("fingerprint", LargeBinary, nullable=False),
    Column("pair", LargeBinary, nullable=False),
    Column("score", Float, nullable=False),
    Column("truncated", Boolean, nullable=False),
    Column("scored_at", TIMESTAMP, nullable=False, server_default=text("now()")),
    PrimaryKeyConstraint("fingerprint", "pair"),
    CheckConstraint("score <> 'NaN'::float8 AND abs(score) <> 'Infinity'::float8", name="score_finite"),
)

labels = Table(
    "labels",
    metadata,
    Column("org_id", Text, nullable=False),
    Column("turn_id", Text, nullable=False),
    Column("entry_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("author", Text, nullable=False, server_default=text("''")),
    Column("grade", SmallInteger, nullable=False),
    Column("labelled_at", TIMESTAMP, nullable=False, server_default=text("now()")),
    PrimaryKeyConstraint("org_id", "turn_id", "entry_id", "source", "author"),
    CheckConstraint("grade >= 0", name="grade_not_negative"),
)

comments = Table(
    "comments",
    metadata,
    Column("comment_id", BigInteger, Identity(), primary_key=True),
    Column("org_id", Text, nullable=False),
    Column("turn_id", Text, nullable=False),
    Column("entry_id", Text),
    Column("author", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("commented_at", TIMESTAMP, nullable=False, server_default=text("now()")),
    Index("ix_comments_turn", "org_id", "turn_id"),
    CheckConstraint("body <> ''", name="body_not_empty"),
)

nights = Table(
    "nights",
    metadata,
    Column("configuration", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("number", BigInteger, Identity(), nullable=False, unique=True),
    Column("since", TIMESTAMP, nullable=False),
    Column("until", TIMESTAMP, nullable=False),
    Column("run_id", Text, ForeignKey(runs.c.run_id, ondelete="SET NULL"), unique=True),
    Column("status", Text, nullable=False),
    Column("gates", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    PrimaryKeyConstraint("configuration", "name"),
    CheckConstraint("configuration <> ''", name="configuration_not_empty"),
    CheckConstraint("status IN ('running', 'done')", name="status_known"),
    CheckConstraint("since <= until", name="since_before_until"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("configuration", Text, nullable=False),
    Column("night", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("delivered_at", TIMESTAMP),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("problem", Text, nullable=False, server_default=text("''")),
    PrimaryKeyConstraint("configuration", "night", "target"),
    ForeignKeyConstraint(["configuration", "night"], [nights.c.configuration, nights.c.name], ondelete="CASCADE"),
    CheckConstraint("target IN ('directory', 's3', 'webhook')", name="target_known"),
)

blessed_runs = Table(
    "blessed_runs",
    metadata,
    Column("configuration", Text, primary_key=True),
    Column("run_id", Text, ForeignKey(runs.c.run_id, ondelete="CASCADE"), nullable=False),
    Column("blessed_at", TIMESTAMP, nullable=False, server_default=text("now()")),
    Column("blessed_by", Text, nullable=False, server_default=text("''")),
)
"""The run with which a configuration's nights are compared; never pruned."""

verdicts = Table(
    "verdicts",
    metadata,
    Column("prompt_hash", LargeBinary, primary_key=True),
    Column("judge", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("org_id", Text, nullable=False),
    Column("turn_id", Text, nullable=False),
    Column("first", Text, nullable=False),
    Column("second", Text, nullable=False),
    Column("choice", Text, nullable=False),
    Column("abstention", Text),
    Column("reason", Text),
    Column("first_note", Text),
    Column("second_note", Text),
    Column("raw", Text),
    Column("calls", Integer, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("seconds", Float),
    Column("asked_at", TIMESTAMP, nullable=False, server_default=text("now()")),
    Index("ix_verdicts_turn", "org_id", "turn_id"),
    CheckConstraint("octet_length(prompt_hash) = 32", name="hash_is_sha256"),
    CheckConstraint("choice IN ('first', 'second', 'tie', 'abstained')", name="choice_known"),
    CheckConstraint("(choice = 'abstained') = (abstention IS NOT NULL)", name="abstention_has_a_kind"),
)
"""What judges said, under the hash of all that they were shown: paid for once, whichever run asks again."""
