"""A few sessions in short, so that a person sees whether they were read rightly: queries, sizes of lists, titles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from shadowdiff.records import Entry, Session, Turn
from shadowdiff.render.text import clip, one_line

TURNS_SHOWN = 3
TITLES_SHOWN = 3
Entries = Mapping[tuple[str, str], Entry]


def sample_lines(sessions: Sequence[Session], entries: Entries, width: int) -> Iterator[str]:
    """Lines of at most `width` cells; `entries` by org and entry id, of the first that stand in pools."""
    for session in sessions:
        count = f"{len(session.turns)} turn{'' if len(session.turns) == 1 else 's'}"
        when = f"{session.started_at:%Y-%m-%d %H:%M %Z}"
        yield clip(f"session {one_line(session.session_id)} · {when} · {count} · {one_line(session.org_id)}", width)
        for turn in session.turns[:TURNS_SHOWN]:
            yield clip(f"  “{clip(one_line(turn.search_text), width - 6)}”", width)
            yield clip(f"    {_lists(turn)}", width)
            titles = _titles(session.org_id, turn, entries)
            if titles:
                yield clip(f"    first in the pool: {titles}", width)
        if len(session.turns) > TURNS_SHOWN:
            yield f"  … and {len(session.turns) - TURNS_SHOWN} more"


def first_entries(turn: Turn) -> list[str]:
    """Ids of the entries whose titles are shown."""
    listed = turn.served or () if turn.recorded_pool is None else [item.entry_id for item in turn.recorded_pool]
    return list(listed[:TITLES_SHOWN])


def _lists(turn: Turn) -> str:
    pool = "no pool recorded" if turn.recorded_pool is None else f"pool of {len(turn.recorded_pool)}"
    served = "served not recorded" if turn.served is None else f"served {len(turn.served)}"
    return f"{pool} · {served}"


def _titles(org_id: str, turn: Turn, entries: Entries) -> str:
    texts = {item.entry_id: item for item in turn.recorded_pool or ()}
    return " | ".join(_title(texts.get(key), entries.get((org_id, key)), key) for key in first_entries(turn))


def _title(recorded: object, entry: Entry | None, entry_id: str) -> str:
    title, body = getattr(recorded, "title", None), getattr(recorded, "body", None)
    shown = title or (entry.title if entry else None) or body or (entry.body if entry else None)
    return clip(one_line(shown), 36) if shown else f"{clip(one_line(entry_id), 24)} (not in entries)"
