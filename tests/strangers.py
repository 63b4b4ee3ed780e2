"""A production schema that shares no table or column name with shadowdiff's, filled from a bundle, and its mapping.

uuid keys, naive local times, pools as JSONB, embeddings as halfvec, in a schema of its own; entries through a view.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, text

from shadowdiff.records import Session, Turn
from shadowdiff.sources.bundle import Bundle
from shadowdiff.sources.values import array_text

ZONE = ZoneInfo("America/St_Johns")
"""Half an hour off, so that a mistake with zones shows."""

TABLES = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE SCHEMA helpdesk;
CREATE TABLE helpdesk.customer (cid uuid PRIMARY KEY, slug text NOT NULL);
CREATE TABLE helpdesk.dialogue (
    did uuid PRIMARY KEY, cid uuid NOT NULL REFERENCES helpdesk.customer, opened timestamp NOT NULL, labels jsonb);
CREATE INDEX ON helpdesk.dialogue (opened);
CREATE TABLE helpdesk.utterance (
    uid bigint PRIMARY KEY, did uuid NOT NULL REFERENCES helpdesk.dialogue, said text, rewritten text,
    said_at timestamp NOT NULL, reply text, vec halfvec, hits jsonb, shown uuid[]);
CREATE INDEX ON helpdesk.utterance (did);
CREATE TABLE helpdesk.article (
    aid uuid PRIMARY KEY, cid uuid NOT NULL REFERENCES helpdesk.customer, headline text, content text,
    edited timestamp, vec halfvec);
CREATE VIEW helpdesk.live_article AS
    SELECT aid, cid AS owner, headline, content, edited, vec FROM helpdesk.article;
"""

MAPPING = '''
[source]
timezone = "America/St_Johns"
sessions = "SELECT did AS session_id, cid AS org_id, opened AS started_at, labels AS tags FROM helpdesk.dialogue"
turns = """
SELECT did AS session_id, uid AS turn_id, said AS query, rewritten AS search_query, said_at AS asked_at,
       reply AS answer, vec AS query_embedding, hits AS pool, shown AS served
  FROM helpdesk.utterance -- one row per question
"""
entries = """
SELECT aid AS entry_id, owner AS org_id, headline AS title, content AS body, edited AS updated_at, vec AS embedding
  FROM helpdesk.live_article;
"""

[source.json]
entry_id = "article"
score = "similarity"
'''


def customer_id(org_id: str) -> str:
    """The uuid under which this schema keeps an org."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, org_id))


class Renamed:
    """Ids of a bundle as this schema has them: uuids in the order of the bundle's ids, numbers for turns."""

    def __init__(self, bundle: Bundle) -> None:
        entries = sorted({(entry.org_id, entry.entry_id) for entry in bundle.entries})
        self.entry = {key: _ordered_uuid(1, place) for place, key in enumerate(entries)}
        self.session = {
            session_id: _ordered_uuid(2, place)
            for place, session_id in enumerate(sorted(session.session_id for session in bundle.sessions))
        }
        turns = [turn.turn_id for session in bundle.sessions for turn in session.turns]
        self.turn = {turn_id: str(1_000 + place) for place, turn_id in enumerate(turns)}

    def back(self) -> dict[str, str]:
        """The bundle's id by ours, for sessions, turns and entries, and the orgs' too."""
        names = {ours: entry_id for (_, entry_id), ours in self.entry.items()}
        names |= {ours: theirs for theirs, ours in (self.session | self.turn).items()}
        return names | {customer_id(org_id): org_id for org_id, _ in self.entry}


def _ordered_uuid(kind: int, place: int) -> str:
    return str(uuid.UUID(int=(kind << 96) + place))


def fill(engine: Engine, bundle: Bundle) -> Renamed:
    """Make the schema and write the bundle into it."""
    names = Renamed(bundle)
    orgs = sorted({entry.org_id for entry in bundle.entries})
    with engine.begin() as connection:
        connection.execute(text(TABLES))
        connection.execute(
            text("INSERT INTO helpdesk.customer VALUES (CAST(:cid AS uuid), :slug)"),
            [{"cid": customer_id(org), "slug": org} for org in orgs],
        )
        connection.execute(text(ARTICLE), list(_articles(bundle, names)))
        connection.execute(text(DIALOGUE), [_dialogue(session, names) for session in bundle.sessions])
        connection.execute(text(UTTERANCE), list(_utterances(bundle, names)))
    return names


ARTICLE = (
    "INSERT INTO helpdesk.article VALUES (CAST(:aid AS uuid), CAST(:cid AS uuid), :headline, :content, :edited, "
    "CAST(:vec AS halfvec))"
)
DIALOGUE = (
    "INSERT INTO helpdesk.dialogue VALUES (CAST(:did AS uuid), CAST(:cid AS uuid), :opened, CAST(:labels AS jsonb))"
)
UTTERANCE = (
    "INSERT INTO helpdesk.utterance VALUES (CAST(:uid AS bigint), CAST(:did AS uuid), :said, :rewritten, :said_at, "
    ":reply, CAST(:vec AS halfvec), CAST(:hits AS jsonb), CAST(CAST(:shown AS text[]) AS uuid[]))"
)


def _local(moment: Any) -> Any:
    return moment and moment.astimezone(ZONE).replace(tzinfo=None)


def _articles(bundle: Bundle, names: Renamed) -> Iterator[dict[str, Any]]:
    assert bundle.embeddings is not None
    for entry, vector in zip(bundle.entries, bundle.embeddings.entries, strict=True):
        yield {
            "aid": names.entry[entry.org_id, entry.entry_id],
            "cid": customer_id(entry.org_id),
            "headline": entry.title,
            "content": entry.body,
            "edited": _local(entry.updated_at),
            "vec": array_text(vector.tolist()),
        }


def _dialogue(session: Session, names: Renamed) -> dict[str, Any]:
    return {
        "did": names.session[session.session_id],
        "cid": customer_id(session.org_id),
        "opened": _local(session.started_at),
        "labels": json.dumps(dict(session.tags)),
    }


def _utterances(bundle: Bundle, names: Renamed) -> Iterator[dict[str, Any]]:
    assert bundle.embeddings is not None
    vectors = iter(bundle.embeddings.turns)
    for session in bundle.sessions:
        for turn in session.turns:
            yield {
                "uid": names.turn[turn.turn_id],
                "did": names.session[session.session_id],
                "said": turn.query,
                "rewritten": turn.search_query,
                "said_at": _local(turn.asked_at),
                "reply": turn.answer,
                "vec": array_text(next(vectors).tolist()),
                "hits": _hits(session, turn, names),
                "shown": turn.served and [names.entry[session.org_id, entry_id] for entry_id in turn.served],
            }


def _hits(session: Session, turn: Turn, names: Renamed) -> str | None:
    if turn.recorded_pool is None:
        return None
    return json.dumps(
        [
            {"article": names.entry[session.org_id, item.entry_id], "similarity": item.score}
            for item in turn.recorded_pool
        ]
    )
