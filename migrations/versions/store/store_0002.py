"""What was served on each turn, for fidelity; runs that keep hashes of texts instead of texts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "store_0002"
down_revision = "store_0001"
branch_labels = None
depends_on = None

TEXT_OR_HASH = "query IS NOT NULL OR octet_length(query_hash) = 32"


def upgrade() -> None:
    """Apply."""
    op.add_column("run_turns", sa.Column("served", sa.ARRAY(sa.Text()), nullable=True), schema="shadowdiff")
    op.add_column("run_turns", sa.Column("served_by", sa.Text(), nullable=True), schema="shadowdiff")
    op.add_column("run_turns", sa.Column("query_hash", sa.LargeBinary(), nullable=True), schema="shadowdiff")
    op.alter_column("run_turns", "query", nullable=True, schema="shadowdiff")
    op.create_check_constraint(op.f("ck_run_turns_query_or_its_hash"), "run_turns", TEXT_OR_HASH, schema="shadowdiff")


def downgrade() -> None:
    """Undo. Runs that kept no texts lose their queries for good: they get empty ones."""
    op.drop_constraint(op.f("ck_run_turns_query_or_its_hash"), "run_turns", schema="shadowdiff")
    op.execute("UPDATE shadowdiff.run_turns SET query = '' WHERE query IS NULL")
    op.alter_column("run_turns", "query", nullable=False, schema="shadowdiff")
    for name in ("query_hash", "served_by", "served"):
        op.drop_column("run_turns", name, schema="shadowdiff")
