"""Production that goes on: sessions that begin, and turns that are asked, while somebody watches."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from sqlalchemy import create_engine, text

from shadowdiff.database import parse_url
from tests.strangers import ZONE

BEGIN = """
INSERT INTO shadowdiff.sessions SELECT :id, org_id, now(), tags FROM shadowdiff.sessions WHERE session_id = :like
"""
ASK = """
INSERT INTO shadowdiff.turns SELECT :id || '/' || position, :id, org_id, position, query, search_query,
       now() - make_interval(secs => :ago), answer, pool_recorded, served_recorded, embedding
  FROM shadowdiff.turns WHERE session_id = :like AND position = :position;
INSERT INTO shadowdiff.pool_entries SELECT :id || '/' || :position, p.org_id, rank, entry_id, score
  FROM shadowdiff.pool_entries p JOIN shadowdiff.turns t USING (turn_id)
 WHERE t.session_id = :like AND position = :position;
INSERT INTO shadowdiff.served_entries SELECT :id || '/' || :position, s.org_id, rank, entry_id
  FROM shadowdiff.served_entries s JOIN shadowdiff.turns t USING (turn_id)
 WHERE t.session_id = :like AND position = :position
"""
BEGIN_ELSEWHERE = f"""
INSERT INTO helpdesk.dialogue SELECT CAST(:id AS uuid), cid, now() AT TIME ZONE '{ZONE.key}', labels
  FROM helpdesk.dialogue WHERE did = CAST(:like AS uuid)
"""
ASK_ELSEWHERE = f"""
INSERT INTO helpdesk.utterance SELECT (SELECT max(uid) + 1 FROM helpdesk.utterance), CAST(:id AS uuid), said, rewritten,
       (now() - make_interval(secs => :ago)) AT TIME ZONE '{ZONE.key}', reply, vec, hits, shown
  FROM helpdesk.utterance WHERE did = CAST(:like AS uuid) ORDER BY said_at OFFSET :position - 1 LIMIT 1
"""


@dataclass
class LiveSession:
    """A session that goes like a recorded one, now."""

    url: str
    like: str
    is_mapped: bool = False
    """Whether it is written into the schema of tests.strangers."""
    session_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def begin(self) -> LiveSession:
        """The session is there, and has no turn."""
        self._write(self._beginning)
        return self

    def ask(self, position: int, ago: float = 0.0) -> LiveSession:
        """The next turn, asked so many seconds ago."""
        self._write(self._asking, position=position, ago=ago)
        return self

    def arrive(self, ago: float) -> LiveSession:
        """The session and its first turn at once, asked so many seconds ago."""
        self._write(f"{self._beginning};{self._asking}", position=1, ago=ago)
        return self

    @property
    def _beginning(self) -> str:
        return BEGIN_ELSEWHERE if self.is_mapped else BEGIN

    @property
    def _asking(self) -> str:
        return ASK_ELSEWHERE if self.is_mapped else ASK

    def _write(self, script: str, **values: float) -> None:
        engine = create_engine(parse_url(self.url))
        with engine.begin() as connection:
            for statement in script.split(";"):
                connection.execute(text(statement), {"id": self.session_id, "like": self.like, **values})
        engine.dispose()
