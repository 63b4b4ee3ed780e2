"""What asking providers took, and what a cascade spared."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "store_0003"
down_revision = "store_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("rankings", sa.Column("escalated", sa.Boolean(), nullable=True), schema="shadowdiff")
    op.add_column(
        "rankings",
        sa.Column("altered", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        schema="shadowdiff",
    )
    op.create_table(
        "asks",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("waited_seconds", sa.Float(), nullable=False),
        sa.Column("search_units", sa.Float(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("repairs", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "turn_id", "side", name=op.f("pk_asks")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["shadowdiff.runs.run_id"], name=op.f("fk_asks_run_id"), ondelete="CASCADE"
        ),
        schema="shadowdiff",
    )


def downgrade() -> None:
    """Undo. What was paid for is forgotten."""
    op.drop_table("asks", schema="shadowdiff")
    op.drop_column("rankings", "altered", schema="shadowdiff")
    op.drop_column("rankings", "escalated", schema="shadowdiff")
