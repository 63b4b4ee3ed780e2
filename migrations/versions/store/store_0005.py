"""Verdicts of judges."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "store_0005"
down_revision = "store_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "verdicts",
        sa.Column("prompt_hash", sa.LargeBinary(), nullable=False),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("judge", "model", "run_id", "org_id", "turn_id", "first", "second", "choice")
        ),
        *(
            sa.Column(name, sa.Text(), nullable=True)
            for name in ("abstention", "reason", "first_note", "second_note", "raw")
        ),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("prompt_hash", name=op.f("pk_verdicts")),
        sa.CheckConstraint("octet_length(prompt_hash) = 32", name=op.f("ck_verdicts_hash_is_sha256")),
        sa.CheckConstraint("choice IN ('first', 'second', 'tie', 'abstained')", name=op.f("ck_verdicts_choice_known")),
        sa.CheckConstraint(
            "(choice = 'abstained') = (abstention IS NOT NULL)", name=op.f("ck_verdicts_abstention_has_a_kind")
        ),
        schema="shadowdiff",
    )
    op.create_index("ix_verdicts_turn", "verdicts", ["org_id", "turn_id"], schema="shadowdiff")


def downgrade() -> None:
    """Undo. What judges said, and was paid for, is lost."""
    op.drop_table("verdicts", schema="shadowdiff")
