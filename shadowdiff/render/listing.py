"""Plain tables of runs and of rerankers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from shadowdiff.render.amounts import file_size
from shadowdiff.render.text import cells, clip, fit, one_line
from shadowdiff.runs import PairSummary, Run, RunHeld, ScoresHeld

GAP = "  "
FINGERPRINT_CHARS = 12
UNKNOWN_RERANKER = "– (in no stored run)"


def runs_table(runs: Sequence[Run], width: int) -> str:
    """One line per run: id (it begins with the time), status, sessions and turns, sessions that differ, sides."""
    if not runs:
        return "no run is stored yet; start one with: shadowdiff replay --last 10\n"
    head = ("run (UTC)", "status", "sessions", "turns", "changed", "sides")
    return _table([head, *(_run_row(run) for run in runs)], width)


def runs_json(runs: Sequence[Run]) -> str:
    """The same as a JSON list."""
    listed = [
        {
            "run_id": run.run_id,
            "started_at": run.started_at.astimezone(UTC).isoformat(),
            "status": run.status.value,
            "sessions": run.summary.sessions if run.summary else None,
            "turns": run.summary.turns if run.summary else None,
            "failed_turns": run.summary.failed_turns if run.summary else None,
            "sides": [{"side": side.label, "name": side.name, "spec": side.spec} for side in run.sides],
        }
        for run in runs
    ]
    return json.dumps(listed, indent=2) + "\n"


def rerankers_table(rows: Sequence[tuple[str, str, str, str]], names: Mapping[str, str], width: int) -> str:
    """Kinds (scheme, description, provider, what is missing), then the short names of shadowdiff.toml."""
    kinds = [
        (scheme, by, description + (f" (needs: {missing})" if missing else ""))
        for scheme, description, by, missing in rows
    ]
    text = _table([("scheme", "from", "what it is"), *kinds], width)
    if names:
        text += "\n" + _table([("name", "stands for"), *sorted(names.items())], width)
    return text


def cache_table(held: Sequence[ScoresHeld], width: int) -> str:
    """One line per reranker, and their sum: pairs, size, when the first and the last were scored, runs, what it is."""
    if not held:
        return "the score cache is empty\n"
    head = ("fingerprint", "pairs", "size", "scored since", "until", "runs", "reranker")
    pairs, size = sum(item.pairs for item in held), sum(item.size_bytes for item in held)
    total = ("together", f"{pairs:,}", file_size(size), "", "", "", "")
    return _table([head, *map(_held_row, held), total], width)


def cache_json(held: Sequence[ScoresHeld]) -> str:
    """The same as a JSON list, without the sum."""
    listed = [
        asdict(item) | {"oldest": _utc(item.oldest).isoformat(), "newest": _utc(item.newest).isoformat()}
        for item in held
    ]
    return json.dumps(listed, indent=2) + "\n"


def runs_held_table(held: Sequence[RunHeld], width: int) -> str:
    """One line per run of which something may go, and their sum: sessions, turns, size, and what would be left."""
    head = ("run (UTC)", "sessions", "turns", "size", "left of it")
    sums = (sum(run.sessions for run in held), sum(run.turns for run in held))
    total = ("together", *(f"{number:,}" for number in sums), file_size(sum(run.size_bytes for run in held)), "")
    return _table([head, *map(_run_held_row, held), total], width)


def _run_held_row(run: RunHeld) -> tuple[str, ...]:
    left = "nothing" if run.night is None else f"the summary, as it is of night {run.night}"
    return (run.run_id, f"{run.sessions:,}", f"{run.turns:,}", file_size(run.size_bytes), left)


def _held_row(item: ScoresHeld) -> tuple[str, ...]:
    scored = (f"{_utc(item.oldest):%Y-%m-%d}", f"{_utc(item.newest):%Y-%m-%d}")
    size = file_size(item.size_bytes)
    called = item.reranker or UNKNOWN_RERANKER
    return (item.fingerprint[:FINGERPRINT_CHARS], f"{item.pairs:,}", size, *scored, str(item.runs), called)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _run_row(run: Run) -> tuple[str, ...]:
    summary = run.summary
    counts = (str(summary.sessions), str(summary.turns)) if summary else ("–", "–")
    changed = ", ".join(f"{label} {_changed(pair)}" for label, pair in summary.pairs.items()) if summary else "–"
    sides = ", ".join(f"{side.label} {side.name}" for side in run.sides)
    return (run.run_id, run.status.value, *counts, changed, sides)


def _changed(pair: PairSummary) -> str:
    return f"{pair.sessions_changed}/{pair.sessions}"


def _table(rows: Sequence[Sequence[str]], width: int) -> str:
    """Columns as wide as their widest cell; the line is cut at `width`."""
    shown = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(cells(row[column]) for row in shown) for column in range(len(shown[0]))]
    lines = (GAP.join(fit(cell, wide) for cell, wide in zip(row, widths, strict=True)).rstrip() for row in shown)
    return "".join(f"{clip(line, width)}\n" for line in lines)
