"""A production schema for the doctor to look at, healthy until a test spoils it: uuid keys, JSONB pools, arrays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shadowdiff.checks.checkup import Checkup, Examinee, examine
from shadowdiff.checks.every import CHECKS
from shadowdiff.config import ConnectionLimits, Settings, SourceSettings
from shadowdiff.findings import Finding, Status
from shadowdiff.sources.mapping import source_mapping

if TYPE_CHECKING:
    from sqlalchemy import Engine

Findings = Mapping[str, list[Finding]]

HEALTHY = """
CREATE SCHEMA {s};
CREATE TABLE {s}.chat (id uuid PRIMARY KEY, tenant uuid, opened timestamptz);
CREATE INDEX chat_newest ON {s}.chat (opened DESC, id DESC);
CREATE TABLE {s}.message (
    id uuid, chat uuid, body text, sent timestamptz, vec real[], hits jsonb, shown uuid[]);
CREATE INDEX message_chat ON {s}.message (chat);
CREATE TABLE {s}.doc (id uuid PRIMARY KEY, tenant uuid, head text, content text, edited timestamptz, vec real[]);
INSERT INTO {s}.doc
SELECT md5('doc' || t || n)::uuid, md5('tenant' || t)::uuid, 'Title ' || n, 'Body of ' || n,
       now() - interval '30 days', ARRAY[n, t, 1]::real[]
  FROM generate_series(1, 2) AS t, generate_series(1, 60) AS n;
INSERT INTO {s}.chat
SELECT md5('chat' || t || n)::uuid, md5('tenant' || t)::uuid, now() - n * interval '1 day'
  FROM generate_series(1, 2) AS t, generate_series(1, 3) AS n;
INSERT INTO {s}.message
SELECT md5('message' || t || c || m)::uuid, md5('chat' || t || c)::uuid, 'How does ' || m || ' work?',
       now() - c * interval '1 day' + m * interval '1 minute', ARRAY[m, t, 2]::real[],
       (SELECT jsonb_agg(jsonb_build_object('doc', md5('doc' || t || n)::uuid, 'score', 1.0 / n) ORDER BY n)
          FROM generate_series(1, 50) AS n),
       ARRAY(SELECT md5('doc' || t || n)::uuid FROM generate_series(1, 10) AS n)
  FROM generate_series(1, 2) AS t, generate_series(1, 3) AS c, generate_series(1, 2) AS m;
GRANT USAGE ON SCHEMA {s} TO {reader};
GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {reader};
"""
"""2 tenants of 60 docs and 3 chats, each chat of 2 messages, each message with a pool of 50 and 10 shown."""

PARTS = {
    "sessions": "SELECT id AS session_id, tenant AS org_id, opened AS started_at FROM {s}.chat",
    "turns": "SELECT id AS turn_id, chat AS session_id, body AS query, sent AS asked_at, vec AS query_embedding, "
    "hits AS pool, shown AS served FROM {s}.message",
    "entries": "SELECT id AS entry_id, tenant AS org_id, head AS title, content AS body, edited AS updated_at, "
    "vec AS embedding FROM {s}.doc",
}


@dataclass(frozen=True)
class Patient:
    """A schema of a test's own, and what is configured for it."""

    schema: str
    owner: Engine
    """Makes and spoils the tables."""
    settings: Settings
    sides: Sequence[tuple[str, str]] = (("A", "cosine"), ("B", "bm25"))
    examined: Mapping[str, Any] = field(default_factory=dict)
    """More of Examinee."""

    def sql(self, statement: str) -> None:
        """Run a statement as the owner; {s} is the schema."""
        with self.owner.begin() as connection:
            connection.exec_driver_sql(statement.replace("{s}", self.schema))

    def mapped(self, **parts: str | None) -> Patient:
        """With other SQL for some parts, or none; {s} is the schema."""
        given = {**self.settings.source.parts, **parts}
        written = {name: sql.replace("{s}", self.schema) for name, sql in given.items() if sql is not None}
        return self.configured(source=replace(self.settings.source, parts=written))

    def configured(self, **settings: Any) -> Patient:
        """With other settings."""
        return replace(self, settings=replace(self.settings, **settings))

    def limited(self, **limits: Any) -> Patient:
        """With other connection limits."""
        return self.configured(limits=ConnectionLimits(**limits))

    def examinee(self) -> Examinee:
        """What the command line would have examined."""
        return Examinee(
            settings=self.settings,
            mapping=lambda: source_mapping(self.settings.source),
            source_url=lambda: str(self.settings.database_url),
            store_url=lambda: str(self.settings.store_url),
            sides=self.sides,
            **self.examined,
        )

    def examine(self) -> Findings:
        """Every finding, by check."""
        return examined(self.examinee())


def patient_settings(schema: str, database_url: str, store_url: str, home: Path) -> Settings:
    """The mapping of the healthy schema."""
    source = SourceSettings(
        parts={name: sql.replace("{s}", schema) for name, sql in PARTS.items()}, json_keys={"entry_id": "doc"}
    )
    return Settings(home=home, database_url=database_url, store_url=store_url, source=source)


def examined(examinee: Examinee) -> Findings:
    """Every finding of one examination, by check."""
    checkup = Checkup(examinee)
    found: dict[str, list[Finding]] = defaultdict(list)
    for item in examine(checkup, CHECKS):
        found[item.finding.check].append(item.finding)
    checkup.close()
    return found


def worse(found: Findings) -> list[Finding]:
    """What is not ok."""
    return [finding for findings in found.values() for finding in findings if finding.status is not Status.OK]


def the_one(found: Findings, check: str, status: Status) -> Finding:
    """The only finding of a check, which must have ended like this, and say what to do unless all is well."""
    (finding,) = found[check]
    assert finding.status is status, finding
    assert finding.do if status is Status.WARN else status is Status.FAIL or not finding.do, finding
    return finding
