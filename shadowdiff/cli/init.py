"""`shadowdiff init`: look at a database, propose a mapping, and write a commented shadowdiff.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import opened, width_of
from shadowdiff.config import FILE_NAME
from shadowdiff.errors import ConfigError

EPILOG = """\b
Examples:
  shadowdiff init --database postgresql://me:secret@db.example.com/app
  shadowdiff init --database "$URL" --yes --turns chat_messages --served none
  shadowdiff init --database "$URL" --preset phoenix
  shadowdiff init --database "$URL" --role-sql | psql "$ADMIN_URL"
  shadowdiff init

\b
Without a URL the file is a template with every setting explained. The password of the URL is not written:
it comes from SHADOWDIFF_DATABASE_URL, PGPASSWORD or ~/.pgpass."""


@click.command("init", epilog=EPILOG)
@click.option(
    "--database", envvar="SHADOWDIFF_DATABASE_URL", metavar="URL", help="The Postgres that holds your sessions."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help=f"Default: ./{FILE_NAME}.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
@click.option("--yes", "-y", is_flag=True, help="Ask nothing; take what looks likeliest.")
@click.option("--preset", "presets", multiple=True, metavar="NAME", help="A preset, or none; repeatable.")
@click.option("--turns", metavar="TABLE", help="What users asked.")
@click.option("--sessions", metavar="TABLE|COLUMN", help="The sessions, or the column of turns that groups them.")
@click.option("--pool", metavar="TABLE|COLUMN", help="What retrieval found for a turn, or none.")
@click.option("--served", metavar="TABLE|COLUMN", help="What users were shown, or none.")
@click.option("--entries", metavar="TABLE", help="The knowledge base, or none.")
@click.option("--org", metavar="COLUMN", help="Whose session it is, or none.")
@click.option("--timezone", metavar="ZONE", help="Of times that are stored without one.")
@click.option("--production", metavar="SPEC", help="The reranker that production runs.")
@click.option("--role", metavar="NAME", help="Name of the read-only role that is printed.")
@click.option("--role-sql", is_flag=True, help="Print the SQL of that role, and do nothing else.")
@click.pass_obj
def command(
    invocation: Invocation, /, database: str | None, output: Path | None, *, force: bool, role_sql: bool, **options: Any
) -> None:
    """Connect shadowdiff to the Postgres that your product has.

    Reads the catalogue, proposes which tables are sessions, turns and entries, shows three sessions read that way,
    and writes a commented shadowdiff.toml. The database is only read. Nothing is overwritten without --force.
    """
    path = output or invocation.config_file or Path(FILE_NAME)
    if not role_sql:
        _refuse_overwriting(path, force=force)
    if not database:
        if role_sql:
            raise ConfigError("--role-sql needs --database URL")
        _write_template(path)
        return
    from shadowdiff.cli.proposed import filled, next_steps, report
    from shadowdiff.cli.surveyed import Surveyed
    from shadowdiff.config_template import configuration

    survey = Surveyed(database)
    found = survey.settled(options, asks=not role_sql)
    role = survey.role_sql(found, options["role"])
    if not role_sql:
        _refuse_overwriting(path, force=force)
        with opened(path) as file:
            file.write(configuration(filled(found, database)))
    with opened(None) as out:
        lines = report(found, survey.catalogue, width_of(out)) if not role_sql else ()
        out.writelines(f"{line}\n" for line in lines)
        told = [role] if role_sql else ["", f"wrote {_shown(path)}", "", role, "", next_steps(found)]
        out.writelines(f"{line}\n" for line in told)


def _refuse_overwriting(path: Path, *, force: bool) -> None:
    if path.is_dir():
        raise ConfigError(f"cannot write {path}: it is a directory")
    if not force and (path.exists() or path.is_symlink()):
        raise ConfigError(f"{path} is there already; --force overwrites it, -o FILE writes another")


def _write_template(path: Path) -> None:
    from shadowdiff.cli.proposed import known_presets
    from shadowdiff.config_template import Filled, configuration

    with opened(path) as file:
        file.write(configuration(Filled(presets=known_presets())))
    click.echo(
        f"wrote {_shown(path)}, a template: no database was given\n"
        "next: fill in [database] and [source], or have it filled in: shadowdiff init --force --database postgresql://…"
    )


def _shown(path: Path) -> str:
    from shadowdiff.render.text import one_line

    return one_line(str(path))
