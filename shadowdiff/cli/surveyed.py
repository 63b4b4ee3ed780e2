"""A database that `shadowdiff init` looks at: its catalogue, what is proposed for it, and how that works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shadowdiff.cli.proposed import Found
from shadowdiff.cli.questions import may_ask, production_reranker, settled
from shadowdiff.config import ConnectionLimits
from shadowdiff.database import database_errors, parse_url, source_engine
from shadowdiff.errors import SourceError
from shadowdiff.rerankers.spec import parse
from shadowdiff.sources.mapping import preset_names, preset_parts
from shadowdiff.sources.proposal import NONE, Choices, Proposal, propose
from shadowdiff.sources.role import DEFAULT_ROLE, quoted, read_only_role_sql
from shadowdiff.sources.survey import glimpsed, read_catalogue
from shadowdiff.sources.trial import relations_read, tried

PATIENCE = ConnectionLimits(statement_timeout=60.0, lock_timeout=5.0)
GLIMPSE_SECONDS = 3.0
"""How long a look at one table's rows may take."""
SETTLED = ("sessions", "turns", "pool", "served", "entries", "org", "timezone")


class Surveyed:
    """One database, looked at."""

    def __init__(self, database: str) -> None:
        """Reads the catalogue. Raises SourceError, ConfigError."""
        self._url = parse_url(database)
        self._engine = source_engine(database, PATIENCE)
        with database_errors(SourceError, "reading the catalogue", self._url), self._engine.connect() as connection:
            catalogue = read_catalogue(connection)
        hurried = source_engine(database, replace(PATIENCE, statement_timeout=GLIMPSE_SECONDS))
        with database_errors(SourceError, "reading the catalogue", self._url), hurried.connect() as connection:
            self.catalogue = glimpsed(connection, catalogue)
        hurried.dispose()
        self._presets = {name: preset_parts(name) for name in preset_names()}

    def settled(self, options: Mapping[str, Any], *, asks: bool) -> Found:
        """The proposal under the options given and, on a terminal, the answers given; tried on the database."""
        presets = _named(options["presets"])
        for name in presets or ():
            preset_parts(name)
        choices = Choices(presets=presets, **{part: options[part] for part in SETTLED})
        asked = asks and may_ask() and not options["yes"]
        production = str(parse(options["production"])) if options["production"] else None
        if asked:
            choices = settled(choices, self._proposal)
            if production is None and self._proposal(choices).is_usable:
                production = production_reranker()
        return replace(self._tried(choices), production=production, was_asked=asked)

    def _proposal(self, choices: Choices) -> Proposal:
        return propose(self.catalogue, choices, self._presets)

    def _tried(self, choices: Choices) -> Found:
        """The proposal as it works: a list that cannot be read is left out, and said."""
        proposal = self._proposal(choices)
        trial = tried(self._engine, proposal)
        for part in ("served", "pool"):
            if trial.problem is None or part not in proposal.has:
                continue
            without = self._proposal(choices.settling(part, NONE))
            again = tried(self._engine, without)
            if again.problem is None:
                return Found(without, again, left_out=(f"{part} ({proposal.chosen.get(part, part)}): {trial.problem}",))
        return Found(proposal, trial)

    def role_sql(self, found: Found, role: str | None) -> str:
        """The SQL of a role that can read what the mapping reads, with a word on how to use it."""
        if not found.proposal.is_usable:
            return "-- A read-only role: map sessions and turns first, then run this again with --role-sql."
        schemas, tables = relations_read(self._engine, found.proposal, found.trial.broken)
        name = role or DEFAULT_ROLE
        sql = read_only_role_sql(name, self.catalogue.database, schemas, tables)
        return (
            "-- A role that can read this and nothing else. Run it as an administrator; then set a password, in psql:\n"
            f"--   \\password {quoted(name)}\n{sql}"
        )


def _named(presets: tuple[str, ...]) -> tuple[str, ...] | None:
    """The presets asked for; None where nothing was said, empty for `none`."""
    return tuple(name for name in presets if name != "none") if presets else None
