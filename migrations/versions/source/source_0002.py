"""Sessions and turns are announced as they are written, so that they can be followed.

One notification per session and statement. A statement that writes very many sessions, or one whose id does not fit
into a notification, sends an empty one instead: look for yourself.
"""

from __future__ import annotations

from alembic import op

revision = "source_0002"
down_revision = "source_0001"
branch_labels = None
depends_on = None

ANNOUNCE = """
CREATE FUNCTION shadowdiff.announce_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT DISTINCT session_id FROM added LIMIT 101) AS named) > 100 THEN
        PERFORM pg_catalog.pg_notify('shadowdiff_turns', '');
    ELSE
        PERFORM pg_catalog.pg_notify(
            'shadowdiff_turns', CASE WHEN octet_length(session_id) < 8000 THEN session_id ELSE '' END)
           FROM (SELECT DISTINCT session_id FROM added) AS named;
    END IF;
    RETURN NULL;
END
$$
"""
TABLES = ("sessions", "turns")


def upgrade() -> None:
    """Apply."""
    op.execute(ANNOUNCE)
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER announce_{table} AFTER INSERT ON shadowdiff.{table} REFERENCING NEW TABLE AS added "
            "FOR EACH STATEMENT EXECUTE FUNCTION shadowdiff.announce_sessions()"
        )


def downgrade() -> None:
    """Undo."""
    for table in TABLES:
        op.execute(f"DROP TRIGGER announce_{table} ON shadowdiff.{table}")
    op.execute("DROP FUNCTION shadowdiff.announce_sessions()")
