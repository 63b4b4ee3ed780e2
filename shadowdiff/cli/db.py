"""`shadowdiff db`: the tables, and the embedded server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shadowdiff.cli.invocation import Invocation
from shadowdiff.errors import StoreError

if TYPE_CHECKING:
    from shadowdiff.store.migrate import Branch, SchemaStatus


@click.group("db")
def command() -> None:
    """Create the tables; stop the embedded server."""


@command.command(
    "upgrade", epilog="\b\nExample:\n  SHADOWDIFF_DATABASE_URL=postgresql://me@db/rag shadowdiff db upgrade"
)
@click.pass_obj
def upgrade(invocation: Invocation) -> None:
    """Bring the tables (in the Postgres schema `shadowdiff`) to this version."""
    from shadowdiff.database import masked, store_engine
    from shadowdiff.store import migrate

    for url, branches in _branches(invocation):
        engine = store_engine(url)
        if "source" in branches and not migrate.status(engine).vector_available:
            migrate.upgrade(engine, tuple(branch for branch in branches if branch != "source"))
            raise StoreError(
                f"{masked(engine.url)} has no pgvector, which the source tables need; install the extension "
                "`vector` on that server, or keep sessions elsewhere. The store tables are up to date"
            )
        migrate.upgrade(engine, branches)
        click.echo(f"{masked(engine.url)}: {' and '.join(branches)} tables are up to date")


@command.command("status")
@click.pass_obj
def status(invocation: Invocation) -> None:
    """Say which databases are used, and how their tables stand. Starts nothing."""
    from shadowdiff.database import masked, store_engine
    from shadowdiff.embedded import running_url
    from shadowdiff.store import migrate

    settings = invocation.settings
    if invocation.needs_embedded:
        url = running_url(settings.home)
        click.echo(f"embedded Postgres in {settings.home}: {'running' if url else 'not running'}")
        if url is None:
            return
    for url, branches in _branches(invocation):
        engine = store_engine(url)
        found = migrate.status(engine)
        for branch in branches:
            click.echo(f"{masked(engine.url)}: {branch} tables {_state(found, branch)}")


@command.command("stop")
@click.pass_obj
def stop(invocation: Invocation) -> None:
    """Stop the embedded server; the next command that needs it starts it again."""
    from shadowdiff.embedded import stop as stop_server

    stopped = stop_server(invocation.settings.home)
    click.echo("stopped" if stopped else "the embedded Postgres is not running")


def _branches(invocation: Invocation) -> list[tuple[str, tuple[Branch, ...]]]:
    """Each configured database with the tables that belong there; none of ours belongs into a mapped source."""
    if invocation.is_mapped:
        return [(invocation.store_url, ("store",))]
    if invocation.source_url == invocation.store_url:
        return [(invocation.source_url, ("store", "source"))]
    return [(invocation.store_url, ("store",)), (invocation.source_url, ("source",))]


def _state(found: SchemaStatus, branch: Branch) -> str:
    return "are missing or old; run: shadowdiff db upgrade" if found.lacks(branch) else "are up to date"
