"""Store tables: runs, sides, rankings, failures, score cache, labels."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "store_0001"
down_revision = None
branch_labels = ("store",)
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "entry_texts",
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.CheckConstraint("octet_length(content_hash) = 32", name=op.f("ck_entry_texts_hash_is_sha256")),
        sa.PrimaryKeyConstraint("content_hash", name=op.f("pk_entry_texts")),
        schema="shadowdiff",
    )
    op.create_table(
        "labels",
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("grade", sa.SmallInteger(), nullable=False),
        sa.Column("labelled_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("grade >= 0", name=op.f("ck_labels_grade_not_negative")),
        sa.PrimaryKeyConstraint("org_id", "turn_id", "entry_id", "source", "author", name=op.f("pk_labels")),
        schema="shadowdiff",
    )
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("config", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("summary", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "status <> 'done' OR (summary IS NOT NULL AND finished_at IS NOT NULL)",
            name=op.f("ck_runs_done_is_summed_up"),
        ),
        sa.CheckConstraint("status IN ('running', 'done', 'interrupted')", name=op.f("ck_runs_status_known")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_runs")),
        sa.UniqueConstraint("number", name=op.f("uq_runs_number")),
        schema="shadowdiff",
    )
    op.create_table(
        "score_cache",
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("pair", sa.LargeBinary(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("scored_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "score <> 'NaN'::float8 AND abs(score) <> 'Infinity'::float8", name=op.f("ck_score_cache_score_finite")
        ),
        sa.PrimaryKeyConstraint("fingerprint", "pair", name=op.f("pk_score_cache")),
        schema="shadowdiff",
    )
    op.create_table(
        "run_sessions",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tags", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("turns", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "(turns IS NULL) = (org_id IS NULL) AND (turns IS NULL) = (started_at IS NULL)",
            name=op.f("ck_run_sessions_replayed_or_planned"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["shadowdiff.runs.run_id"], name=op.f("fk_run_sessions_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("pk_run_sessions")),
        sa.UniqueConstraint("run_id", "session_id", name=op.f("uq_run_sessions_run_id_session_id")),
        schema="shadowdiff",
    )
    op.create_table(
        "run_sides",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("min_score", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id"], ["shadowdiff.runs.run_id"], name=op.f("fk_run_sides_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("pk_run_sides")),
        sa.UniqueConstraint("run_id", "label", name=op.f("uq_run_sides_run_id_label")),
        schema="shadowdiff",
    )
    op.create_table(
        "run_turns",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("search_query", sa.Text(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("unpooled", sa.Boolean(), nullable=False),
        sa.Column("missing_entries", sa.Integer(), nullable=False),
        sa.Column("pool_origin", sa.Text(), nullable=False),
        sa.Column("pool_hash", sa.LargeBinary(), nullable=False),
        sa.Column("pool_entry_ids", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("pool_contents", postgresql.ARRAY(sa.LargeBinary()), nullable=False),
        sa.Column("pool_scores", postgresql.ARRAY(sa.Float()), nullable=False),
        sa.CheckConstraint(
            "pool_origin IN ('recorded', 'cosine', 'bm25', 'hybrid', 'union')", name=op.f("ck_run_turns_origin_known")
        ),
        sa.CheckConstraint(
            "cardinality(pool_entry_ids) = cardinality(pool_contents) "
            "AND cardinality(pool_entry_ids) = cardinality(pool_scores)",
            name=op.f("ck_run_turns_pool_arrays_aligned"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id", "session_id"],
            ["shadowdiff.run_sessions.run_id", "shadowdiff.run_sessions.session_id"],
            name=op.f("fk_run_turns_run_id_session_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "turn_id", name=op.f("pk_run_turns")),
        sa.UniqueConstraint("run_id", "session_id", "position", name=op.f("uq_run_turns_run_id_session_id_position")),
        schema="shadowdiff",
    )
    op.create_table(
        "failures",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "turn_id"],
            ["shadowdiff.run_turns.run_id", "shadowdiff.run_turns.turn_id"],
            name=op.f("fk_failures_run_id_turn_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "turn_id", "side", name=op.f("pk_failures")),
        schema="shadowdiff",
    )
    op.create_table(
        "rankings",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("entry_ids", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("scores", postgresql.ARRAY(sa.Float()), nullable=False),
        sa.Column("pairs", sa.Integer(), nullable=False),
        sa.Column("cached", sa.Integer(), nullable=False),
        sa.Column("truncated", sa.Integer(), nullable=False),
        sa.Column("outside_pool", sa.Integer(), nullable=False),
        sa.CheckConstraint("cardinality(entry_ids) = cardinality(scores)", name=op.f("ck_rankings_arrays_aligned")),
        sa.ForeignKeyConstraint(
            ["run_id", "turn_id"],
            ["shadowdiff.run_turns.run_id", "shadowdiff.run_turns.turn_id"],
            name=op.f("fk_rankings_run_id_turn_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "turn_id", "side", name=op.f("pk_rankings")),
        schema="shadowdiff",
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("rankings", schema="shadowdiff")
    op.drop_table("failures", schema="shadowdiff")
    op.drop_table("run_turns", schema="shadowdiff")
    op.drop_table("run_sides", schema="shadowdiff")
    op.drop_table("run_sessions", schema="shadowdiff")
    op.drop_table("score_cache", schema="shadowdiff")
    op.drop_table("runs", schema="shadowdiff")
    op.drop_table("labels", schema="shadowdiff")
    op.drop_table("entry_texts", schema="shadowdiff")
