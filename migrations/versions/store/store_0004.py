"""Nights, where their reports went, the run they are compared with, and reviewers' comments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "store_0004"
down_revision = "store_0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    _create_comments()
    _create_nights()
    _create_deliveries()
    op.create_table(
        "blessed_runs",
        sa.Column("configuration", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("blessed_at", MOMENT, nullable=False, server_default=sa.text("now()")),
        sa.Column("blessed_by", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.PrimaryKeyConstraint("configuration", name=op.f("pk_blessed_runs")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["shadowdiff.runs.run_id"], name=op.f("fk_blessed_runs_run_id"), ondelete="CASCADE"
        ),
        schema="shadowdiff",
    )


def _create_comments() -> None:
    op.create_table(
        "comments",
        sa.Column("comment_id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=True),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("commented_at", MOMENT, nullable=False, server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("comment_id", name=op.f("pk_comments")),
        sa.CheckConstraint("body <> ''", name=op.f("ck_comments_body_not_empty")),
        schema="shadowdiff",
    )
    op.create_index("ix_comments_turn", "comments", ["org_id", "turn_id"], schema="shadowdiff")


def _create_nights() -> None:
    op.create_table(
        "nights",
        sa.Column("configuration", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("gates", postgresql.JSONB(), nullable=False, server_default=sa.text("'[]'::jsonb")),
        sa.PrimaryKeyConstraint("configuration", "name", name=op.f("pk_nights")),
        sa.UniqueConstraint("number", name=op.f("uq_nights_number")),
        sa.UniqueConstraint("run_id", name=op.f("uq_nights_run_id")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["shadowdiff.runs.run_id"], name=op.f("fk_nights_run_id"), ondelete="SET NULL"
        ),
        sa.CheckConstraint("configuration <> ''", name=op.f("ck_nights_configuration_not_empty")),
        sa.CheckConstraint("status IN ('running', 'done')", name=op.f("ck_nights_status_known")),
        sa.CheckConstraint("since <= until", name=op.f("ck_nights_since_before_until")),
        schema="shadowdiff",
    )


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("configuration", sa.Text(), nullable=False),
        sa.Column("night", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("delivered_at", MOMENT, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("problem", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.PrimaryKeyConstraint("configuration", "night", "target", name=op.f("pk_deliveries")),
        sa.ForeignKeyConstraint(
            ["configuration", "night"],
            ["shadowdiff.nights.configuration", "shadowdiff.nights.name"],
            name=op.f("fk_deliveries_configuration_night"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("target IN ('directory', 's3', 'webhook')", name=op.f("ck_deliveries_target_known")),
        schema="shadowdiff",
    )


def downgrade() -> None:
    """Undo. Which nights there were is forgotten; their runs stay."""
    for table in ("blessed_runs", "deliveries", "nights", "comments"):
        op.drop_table(table, schema="shadowdiff")
