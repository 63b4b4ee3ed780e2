"""Nights to draw trends of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shadowdiff.comparison import changes
from shadowdiff.history import trend
from shadowdiff.nights import ChangedSession, History, NightFigures, NightStatus, PairFigures, RunChanges
from shadowdiff.runs import Estimate, Run
from tests.render_cases import hard_run

AT = datetime(2026, 11, 1, 3, tzinfo=UTC)
SIDES = (("A", "cosine", "ab" * 32), ("B", "minilm-v3", "bc" * 32))


def pair_figures(overlap: float, *, sessions: int = 40, spread: float | None = None) -> PairFigures:
    """What the overlap of top-10 lists makes likely; with an interval of ± `spread` around the overlap."""
    share, apart = 1 - overlap**2, round(12 * (1 - overlap), 3)
    mean = Estimate(overlap) if spread is None else Estimate(overlap, overlap - spread, overlap + spread)
    return PairFigures(round(share, 4), Estimate(apart), Estimate(apart + 0.25), mean, sessions)


def night_figures(until: datetime, overlap: float, **changed: Any) -> NightFigures:
    """A whole night of two sides, named after its date."""
    night = NightFigures(
        night=f"{until:%Y-%m-%d}",
        run_id=f"{until:%Y%m%d-%H%M%S}-ab12",
        until=until,
        sides=SIDES,
        sessions=40,
        turns=120,
        pairs={"B": pair_figures(overlap)},
        setting="top 10 of recorded pools of up to 50",
    )
    return replace(night, **changed)


def nights_of(overlaps: Sequence[float], **changed: Any) -> list[NightFigures]:
    """A night a day, all alike but for B's overlap and what is `changed`."""
    return [night_figures(AT + timedelta(days=at), overlap, **changed) for at, overlap in enumerate(overlaps)]


def a_history(*, others: int = 1, last: int | None = None) -> History:
    """Three weeks: a change of sides, a quiet night, one that failed, one cut short, a bad one, one not finished."""
    sway = (0.02, -0.01, 0.0, 0.01, -0.02, 0.015, -0.005)
    nights = [_night(at, sway[at % 7], others) for at in range(21)]
    nights[3] = NightFigures(nights[3].night, None, nights[3].until)
    nights[4] = replace(nights[4], failed_turns=nights[4].turns, pairs={"B": FAILED_PAIR} | _rest(nights[4]))
    nights[16] = replace(nights[16], cut_short=True, sessions=311)
    nights[18] = _bad(nights[18])
    running = NightFigures("2026-11-22", "20261122-030000-ab12", AT + timedelta(days=21), status=NightStatus.RUNNING)
    return trend("nightly \x1b[31m", [*nights, running], last)


FAILED_PAIR = PairFigures(None, Estimate(None), Estimate(None), Estimate(None))


def _rest(night: NightFigures) -> dict[str, PairFigures]:
    return {label: FAILED_PAIR for label in night.pairs if label != "B"}


def _night(at: int, sway: float, others: int) -> NightFigures:
    labels = "BCD"[:others] if at > 1 else "B"
    sides = (("A", "cosine", "ab" * 32), ("B", "minilm-v3", "bc" * 32), ("C", "v4 \u202e[/b]", "cd" * 32))
    fine = {label: pair_figures(0.74 + sway - 0.1 * place) for place, label in enumerate(labels)}
    return night_figures(
        AT + timedelta(days=at),
        0.7,
        sides=sides[: others + 1] if at > 1 else (sides[0], ("B", "minilm-v2", "00" * 32)),
        pairs=fine if at > 1 else {"B": pair_figures(0.81 + sway, spread=0.02)},
        sessions=round(1200 + 9000 * sway),
        turns=4000,
        failed_turns=at % 3,
        noise_overlap=0.99 + sway / 10,
        p95_seconds={"A": 0.0021 + sway / 100} | dict.fromkeys(labels, 0.187 + sway),
        cost_usd=1.2 + sway if others > 1 else None,
        gates_crossed=0,
    )


def _bad(night: NightFigures) -> NightFigures:
    pairs = dict(night.pairs) | {"B": pair_figures(0.41)}
    slow = dict(night.p95_seconds) | {"B": 1.254}
    return replace(night, pairs=pairs, p95_seconds=slow, gates_crossed=2)


def some_changes() -> tuple[RunChanges, Run]:
    """Between two runs of three sides, with everything that a comparison can tell."""
    run, _ = hard_run(others=2, noise=True)
    sides = (*run.sides[:2], replace(run.sides[2], name="bm25 ```\x1b[2J"))
    hostile = "x\x1b]0;pwned\x07 ```` </details> | @all \u202e"
    sessions = [
        ChangedSession("7f3a", "acme", "B", "same", "different"),
        ChangedSession(hostile, "日本 org\n[/b]", "C", "failed", "different"),
        ChangedSession("s-quiet", "acme", "B", "same", "different"),
    ]
    found = changes(replace(run, run_id="2026-11-19-0300-c3"), replace(run, sides=sides), apart=2)
    figures = tuple((name, value, _moved(name, value)) for name, value, _ in found.figures)
    return replace(
        found,
        sessions_in_both=41,
        newly_different=tuple(sessions),
        newly_failing=(ChangedSession("s-9", "acme", "B", "different", "failed"),),
        fixed=(ChangedSession("s-10", "acme", "C", "failed", "same"),),
        figures=figures,
        notes=(
            *found.notes[1:],
            "overlap.B: the 95% intervals do not overlap, [0.1, 0.2] before and [0.3, 0.4] after.",
        ),
    ), replace(run, sides=sides)


def _moved(name: str, value: float | None) -> float | None:
    return None if name == "noise_overlap" or value is None else 1.1 * value
