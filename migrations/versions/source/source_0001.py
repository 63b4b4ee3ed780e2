"""Own source tables: orgs, entries, sessions, turns, recorded pools, what was served."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import VECTOR
from sqlalchemy.dialects import postgresql

revision = "source_0001"
down_revision = None
branch_labels = ("source",)
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.execute("CREATE EXTENSION IF NOT EXISTS vector")
    op.create_table(
        "orgs",
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("embedding_model", sa.Text(), nullable=True),
        sa.CheckConstraint("org_id <> ''", name=op.f("ck_orgs_org_id_not_empty")),
        sa.PrimaryKeyConstraint("org_id", name=op.f("pk_orgs")),
        schema="shadowdiff",
    )
    op.create_table(
        "entries",
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("embedding", VECTOR(), nullable=True),
        sa.CheckConstraint("entry_id <> ''", name=op.f("ck_entries_entry_id_not_empty")),
        sa.ForeignKeyConstraint(
            ["org_id"], ["shadowdiff.orgs.org_id"], name=op.f("fk_entries_org_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("org_id", "entry_id", name=op.f("pk_entries")),
        schema="shadowdiff",
    )
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "tags", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.CheckConstraint("jsonb_typeof(tags) = 'object'", name=op.f("ck_sessions_tags_is_object")),
        sa.CheckConstraint("session_id <> ''", name=op.f("ck_sessions_session_id_not_empty")),
        sa.ForeignKeyConstraint(
            ["org_id"], ["shadowdiff.orgs.org_id"], name=op.f("fk_sessions_org_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("session_id", "org_id", name=op.f("uq_sessions_session_id_org_id")),
        schema="shadowdiff",
    )
    op.create_index(
        "ix_sessions_newest",
        "sessions",
        [sa.literal_column("started_at DESC"), sa.literal_column("session_id DESC")],
        unique=False,
        schema="shadowdiff",
    )
    op.create_index(
        "ix_sessions_newest_of_org",
        "sessions",
        ["org_id", sa.literal_column("started_at DESC"), sa.literal_column("session_id DESC")],
        unique=False,
        schema="shadowdiff",
    )
    op.create_table(
        "turns",
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("search_query", sa.Text(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("pool_recorded", sa.Boolean(), nullable=False),
        sa.Column("served_recorded", sa.Boolean(), nullable=False),
        sa.Column("embedding", VECTOR(), nullable=True),
        sa.CheckConstraint("turn_id <> ''", name=op.f("ck_turns_turn_id_not_empty")),
        sa.CheckConstraint("position >= 1", name=op.f("ck_turns_position_from_1")),
        sa.ForeignKeyConstraint(
            ["session_id", "org_id"],
            ["shadowdiff.sessions.session_id", "shadowdiff.sessions.org_id"],
            name=op.f("fk_turns_session_id_org_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("turn_id", name=op.f("pk_turns")),
        sa.UniqueConstraint("session_id", "position", name=op.f("uq_turns_session_id_position")),
        sa.UniqueConstraint("turn_id", "org_id", name=op.f("uq_turns_turn_id_org_id")),
        schema="shadowdiff",
    )
    op.create_table(
        "pool_entries",
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.CheckConstraint("rank >= 1", name=op.f("ck_pool_entries_rank_from_1")),
        sa.ForeignKeyConstraint(
            ["org_id", "entry_id"],
            ["shadowdiff.entries.org_id", "shadowdiff.entries.entry_id"],
            name=op.f("fk_pool_entries_org_id_entry_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["turn_id", "org_id"],
            ["shadowdiff.turns.turn_id", "shadowdiff.turns.org_id"],
            name=op.f("fk_pool_entries_turn_id_org_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("turn_id", "rank", name=op.f("pk_pool_entries")),
        sa.UniqueConstraint("turn_id", "entry_id", name=op.f("uq_pool_entries_turn_id_entry_id")),
        schema="shadowdiff",
    )
    op.create_index("ix_pool_entries_entry", "pool_entries", ["org_id", "entry_id"], unique=False, schema="shadowdiff")
    op.create_table(
        "served_entries",
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.CheckConstraint("rank >= 1", name=op.f("ck_served_entries_rank_from_1")),
        sa.ForeignKeyConstraint(
            ["org_id", "entry_id"],
            ["shadowdiff.entries.org_id", "shadowdiff.entries.entry_id"],
            name=op.f("fk_served_entries_org_id_entry_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["turn_id", "org_id"],
            ["shadowdiff.turns.turn_id", "shadowdiff.turns.org_id"],
            name=op.f("fk_served_entries_turn_id_org_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("turn_id", "rank", name=op.f("pk_served_entries")),
        sa.UniqueConstraint("turn_id", "entry_id", name=op.f("uq_served_entries_turn_id_entry_id")),
        schema="shadowdiff",
    )
    op.create_index(
        "ix_served_entries_entry", "served_entries", ["org_id", "entry_id"], unique=False, schema="shadowdiff"
    )


def downgrade() -> None:
    """Undo; the extension stays, others may use it."""
    op.drop_index("ix_served_entries_entry", table_name="served_entries", schema="shadowdiff")
    op.drop_table("served_entries", schema="shadowdiff")
    op.drop_index("ix_pool_entries_entry", table_name="pool_entries", schema="shadowdiff")
    op.drop_table("pool_entries", schema="shadowdiff")
    op.drop_table("turns", schema="shadowdiff")
    op.drop_index("ix_sessions_newest_of_org", table_name="sessions", schema="shadowdiff")
    op.drop_index("ix_sessions_newest", table_name="sessions", schema="shadowdiff")
    op.drop_table("sessions", schema="shadowdiff")
    op.drop_table("entries", schema="shadowdiff")
    op.drop_table("orgs", schema="shadowdiff")
