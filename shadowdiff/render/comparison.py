"""What changed between two runs, for people and for programs.

JSON (`shadowdiff.changes/1`) is one object: `schema`, `before` and `after` (ids of
the runs), `sides` (`side`, `name`), `sessions_in_both` (those that are compared one
by one), `figures` (a list of `name`, `before` and `after`, over all sessions of each
run; names as in `shadowdiff.history/1`), the lists `newly_different`,
`newly_failing` and `fixed` (`session_id`, `org_id`, `side`, `before`, `after`), and
`notes`. Everything but ASCII is escaped. Fields are added, never renamed, within `/1`.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from shadowdiff.nights import ChangedSession, RunChanges
from shadowdiff.render.columns import heading_of
from shadowdiff.render.figures import difference, in_words, written
from shadowdiff.render.github import markdown
from shadowdiff.render.github import table as figures_table
from shadowdiff.render.lines import BOLD, DIM, FAILED, PLAIN, Line, Span, flowed, painter
from shadowdiff.render.sessions import INDENT, counted
from shadowdiff.render.structured import PLACES
from shadowdiff.render.tables import Figure, TableRow, sentence, table
from shadowdiff.render.text import cells, clip, fit, one_line
from shadowdiff.runs import Run

SCHEMA = "shadowdiff.changes/1"
ID_CELLS = 40
ORG_CELLS = 24
MARKDOWN_CELLS = 120
EVERYTHING = "list all of them with: --limit 0"


def comparison_lines(changes: RunChanges, run: Run, width: int, limit: int) -> Iterator[Line]:
    """The figures, then at most `limit` sessions of each kind (0: all). `run` is the later one.

    Each line is within `width` cells.
    """
    yield from _opening(changes, run, width)
    yield []
    yield from _figures(changes, run, width)
    for note in changes.notes:
        yield from sentence(one_line(note), width, DIM)
    if changes.sessions_in_both:
        yield from _sessions(changes, run, width, limit)
    yield []
    yield from sentence(in_short(changes), width, BOLD)


def comparison_json(changes: RunChanges, run: Run) -> str:
    """The document, with a line end."""
    document = {
        "schema": SCHEMA,
        "before": changes.before,
        "after": changes.after,
        "sides": [{"side": side.label, "name": side.name} for side in run.sides],
        "sessions_in_both": changes.sessions_in_both,
        "figures": [
            {"name": name, "before": _rounded(before), "after": _rounded(after)}
            for name, before, after in changes.figures
        ],
        **{name: [asdict(session) for session in sessions] for name, sessions in _lists(changes)},
        "notes": list(changes.notes),
    }
    return json.dumps(document, indent=1) + "\n"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, PLACES)


def comparison_markdown(changes: RunChanges, run: Run, limit: int) -> str:
    """The same for a pull request: the sentence, the figures, the sessions folded.

    What comes from a database stands in fenced code, where GitHub reads nothing as markup.
    """
    parts = [f"**{in_short(changes)}**", _fenced(line.strip() for line in _plain(_opening(changes, run)))]
    rows = figure_rows(changes, run)
    if rows:
        cells_of = ([markdown(text) for text in row] for row in rows)
        parts.append("\n".join(figures_table(("", "before", "after", "change"), cells_of)))
    if changes.notes:
        parts.append("\n".join(f"- {markdown(note)}" for note in changes.notes))
    for name, sessions in _lists(changes):
        if sessions:
            parts.append(_folded(name, sessions, run, limit))
    return "\n\n".join(parts) + "\n"


def _folded(name: str, sessions: Sequence[ChangedSession], run: Run, limit: int) -> str:
    shown = sessions[: limit or None]
    listed = list(_plain(_listed(shown, MARKDOWN_CELLS, of_several=len(run.others) > 1)))
    more = len(sessions) - len(shown)
    rest = [f"and {more:,} more"] if more else []
    summary = f"<summary>{_number(sessions)} {_words(name)}</summary>"
    return "\n\n".join([f"<details>{summary}", _fenced(line.strip() for line in [*listed, *rest]), "</details>"])


def _plain(lines: Iterable[Line]) -> Iterator[str]:
    paint = painter(color=False)
    return (paint(line) for line in lines)


def _fenced(lines: Iterable[str]) -> str:
    """Lines as code, in a fence longer than any that they could close it with."""
    text = "\n".join(lines)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


def in_short(changes: RunChanges) -> str:
    """What changed, in a sentence."""
    if not changes.sessions_in_both:
        return "Compared by their figures alone."
    counts = [f"{_number(sessions)} {_words(name)}" for name, sessions in _lists(changes) if sessions]
    return f"Of {counted(changes.sessions_in_both, 'session')} in both, {', '.join(counts) or 'none changed'}."


def figure_rows(changes: RunChanges, run: Run) -> list[tuple[str, str, str, str]]:
    """Name in words, before, after, and the difference."""
    a, of_several = run.baseline.label, len(run.others) > 1
    return [
        (
            in_words(name, a, of_several=of_several),
            written(name, before),
            written(name, after),
            difference(name, before, after),
        )
        for name, before, after in changes.figures
    ]


def _number(sessions: Sequence[ChangedSession]) -> str:
    """Sessions, however many sides tell them apart."""
    return f"{len({session.session_id for session in sessions}):,}"


def _lists(changes: RunChanges) -> list[tuple[str, tuple[ChangedSession, ...]]]:
    return [
        ("newly_different", changes.newly_different),
        ("newly_failing", changes.newly_failing),
        ("fixed", changes.fixed),
    ]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _opening(changes: RunChanges, run: Run, width: int = MARKDOWN_CELLS) -> Iterator[Line]:
    """Which runs, and who is compared in them."""
    yield [Span(clip(f"run {one_line(changes.after)} against {one_line(changes.before)}", width), BOLD)]
    a, *others = (heading_of(side) for side in run.sides)
    yield from flowed([Span(f"{a}  against  {', '.join(others)}")], width, INDENT)


def _figures(changes: RunChanges, run: Run, width: int) -> Iterator[Line]:
    rows = [TableRow(name, [Figure(text) for text in texts]) for name, *texts in figure_rows(changes, run)]
    if rows:
        yield from table(["before", "after", "change"], rows, width, [3])


def _sessions(changes: RunChanges, run: Run, width: int, limit: int) -> Iterator[Line]:
    for name, sessions in _lists(changes):
        if sessions:
            yield []
            yield [Span(f"{_words(name)}: {_number(sessions)}", FAILED if name == "newly_failing" else BOLD)]
            yield from _listed(sessions[: limit or None], width, of_several=len(run.others) > 1)
        if limit and len(sessions) > limit:
            yield from sentence(f"and {len(sessions) - limit:,} more; {EVERYTHING}", width, DIM)
    first = next((sessions[0] for _, sessions in _lists(changes) if sessions), None)
    if first is not None:
        yield []
        yield from sentence(f"look at one: {look(changes.after, first)}", width, DIM)


def look(run_id: str, session: ChangedSession) -> str:
    """The command that shows one session of a run."""
    shown = session.session_id if session.session_id == one_line(session.session_id) else "ID"
    return f"shadowdiff show {run_id} --session {shlex.quote(shown)}"


def _listed(sessions: Sequence[ChangedSession], width: int, *, of_several: bool) -> Iterator[Line]:
    rows = [(one_line(session.session_id), one_line(session.org_id), session) for session in sessions]
    ids = [clip(session_id, ID_CELLS) for session_id, _, _ in rows]
    orgs = [clip(org_id, ORG_CELLS) for _, org_id, _ in rows]
    id_cells, org_cells = (max(map(cells, texts)) for texts in (ids, orgs))
    for session_id, org_id, (_, _, session) in zip(ids, orgs, rows, strict=True):
        side = f"{session.side}: " if of_several else ""
        text = f"{fit(session_id, id_cells)}  {fit(org_id, org_cells)}  {side}{session.before} → {session.after}"
        yield [Span(INDENT), Span(clip(text, width - len(INDENT)), PLAIN)]
