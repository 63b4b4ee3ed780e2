"""The charts of one run: how its sessions and turns spread, and how long its sides took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from shadowdiff.latencies import BOUNDS, lower_bound
from shadowdiff.records import Outcome
from shadowdiff.render.amounts import bound, duration
from shadowdiff.render.html.drawing import BOTTOM, LEFT, RIGHT, TOP, WIDTH, Canvas, Chart, Series, columns
from shadowdiff.render.html.tallies import Counts, PairTally
from shadowdiff.render.sessions import counted
from shadowdiff.render.tables import mean
from shadowdiff.runs import Estimate, PairSummary, Run, RunSummary, SideSummary

GROUPS = 60
"""Columns of the chart of sessions, at most: more sessions share one."""
BINS = 12
LEAST_COUNT = 2
"""Of an axis that counts, so that half of it is a count."""
SIDE_HEIGHT = 74.0
OUTCOMES = tuple(kind.value for kind in Outcome)


def pair_charts(run: Run, label: str, tally: PairTally, summary: RunSummary) -> list[Chart]:
    """Outcomes and one-sided entries per session, overlap and rank moves per turn."""
    a, pair, noise = run.baseline.label, summary.pairs[label], summary.noise
    return [
        _outcomes(a, label, tally.sessions),
        _one_sided(a, label, tally, pair),
        _overlap(run.config.top_k, tally.overlap, pair.overlap, noise.overlap if noise else None),
        _moves(a, label, tally.moves),
    ]


def _outcomes(a: str, label: str, sessions: Sequence[tuple[tuple[float, ...], Counts]]) -> Chart:
    """Sessions from left to right by contrast, turns by outcome as shares of a column."""
    ordered = sorted(sessions)
    size = max(1, -(-len(ordered) // GROUPS))
    groups = [ordered[at : at + size] for at in range(0, len(ordered), size)]
    totals = [tuple(sum(counts[kind] for _, counts in group) for kind in range(len(OUTCOMES))) for group in groups]
    names = [_span(1 + at * size, min((at + 1) * size, len(ordered))) for at in range(len(groups))]
    canvas = Canvas(1.0, form=lambda share: f"{share:.0%}")
    columns(canvas, [f"session {name}" for name in names], _shares(totals), stacked=True, unit="")
    canvas.text(LEFT, canvas.height - BOTTOM + 14, "differ most", "tick")
    canvas.text(WIDTH - RIGHT, canvas.height - BOTTOM + 14, "differ least", "tick end")
    canvas.text((LEFT + WIDTH - RIGHT) / 2, canvas.height - 6, _per_column(size), "unit middle")
    turns = [sum(counts[kind] for counts in totals) for kind in range(len(OUTCOMES))]
    said = ", ".join(f"{count:,} {name}" for name, count in zip(OUTCOMES, turns, strict=True))
    return Chart(
        "Outcomes per session",
        f"Turns of {counted(len(ordered), 'session')} under {a} and {label}: {said}. "
        "Sessions run from those that differ most to those that differ least.",
        canvas.svg(),
        ("session, by contrast", *OUTCOMES),
        tuple((name, *(f"{count:,}" for count in total)) for name, total in zip(names, totals, strict=True)),
        tuple((f"outcome-{name}", name) for name in OUTCOMES),
    )


def _shares(totals: Sequence[Sequence[int]]) -> list[Series]:
    """Per outcome, from the one at the foot of a column up: what differs stands below what does not."""
    order = (3, 2, 1, 0)
    return [
        Series(
            f"of turns {OUTCOMES[kind]}",
            f"outcome-{OUTCOMES[kind]}",
            tuple(round(total[kind] / sum(total), 3) for total in totals),
        )
        for kind in order
    ]


def _per_column(size: int) -> str:
    return "a column per session" if size == 1 else f"a column per {size} sessions"


def _one_sided(a: str, label: str, tally: PairTally, pair: PairSummary) -> Chart:
    most = max([*tally.only_in_a, *tally.only_in_b], default=0)
    width = max(1, -(-(most + 1) // BINS))
    starts = range(0, most + 1, width)
    names = [_span(start, start + width - 1) for start in starts]
    series = [
        Series(f"sessions, only in {of}", css, tuple(_within(counts, start, width) for start in starts))
        for of, css, counts in ((a, "side-a", tally.only_in_a), (label, "side-b", tally.only_in_b))
    ]
    canvas = Canvas(max([LEAST_COUNT, *(value or 0 for each in series for value in each.values)]))
    columns(canvas, names, series, stacked=False, unit="")
    canvas.labels(names, "distinct entries of a session")
    return Chart(
        f"Entries only in {a} and only in {label}, per session",
        f"Mean per session: {_said(pair.only_in_a_per_session, 1)} only in {a}, "
        f"{_said(pair.only_in_b_per_session, 1)} only in {label}.",
        canvas.svg(),
        ("entries", f"sessions, only in {a}", f"sessions, only in {label}"),
        _table(names, series),
        (("side-a", f"only in {a}"), ("side-b", f"only in {label}")),
    )


def _overlap(top_k: int, turns: Counter[int], overlap: Estimate, noise: Estimate | None) -> Chart:
    names = [f"{tenth / 10:.1f}" for tenth in range(11)]
    series = [Series("turns", "plain", tuple(float(turns[tenth]) for tenth in range(11)))]
    canvas = Canvas(max([LEAST_COUNT, *turns.values()]))
    columns(canvas, names, series, stacked=False, unit="")
    canvas.labels(names, "overlap; 0.9 is from 0.9 to below 1, 1.0 is the same entries")
    legend = [("plain", "turns")]
    for css, estimate, name in (("mean", overlap, "mean"), ("noise", noise, "noise floor")):
        if estimate is not None and estimate.value is not None:
            x = _overlap_x(estimate.value)
            canvas.line(x, TOP, x, canvas.height - BOTTOM, css)
            legend.append((css, f"{name} {estimate.value:.2f}"))
    floor = f" The baseline against itself: {_said(noise, 2)}." if noise is not None else ""
    return Chart(
        f"Overlap@{top_k}",
        f"Share of a turn's surfaced entries that both sides hold. Mean: {_said(overlap, 2)}.{floor}",
        canvas.svg(),
        ("overlap", "turns"),
        _table(names, series),
        tuple(legend),
    )


def _overlap_x(value: float) -> float:
    """A value among columns of tenths, of which each begins at its own tenth and the last is 1 alone."""
    return LEFT + (WIDTH - LEFT - RIGHT) * (10.5 if value >= 1 else value * 10) / 11


def _moves(a: str, label: str, moves: Counter[int]) -> Chart:
    furthest = max((abs(move) for move in moves), default=0)
    half = -(-furthest // BINS) // 2
    width = 2 * half + 1
    most = (furthest + half) // width
    centres = [width * at for at in range(-most, most + 1)]
    names = [_signed_span(centre - half, centre + half) for centre in centres]
    totals = tuple(float(sum(moves[-rise] for rise in range(centre - half, centre + half + 1))) for centre in centres)
    canvas = Canvas(max([LEAST_COUNT, *totals]))
    columns(canvas, names, [Series("entries", "plain", totals)], stacked=False, unit="")
    canvas.labels(names, f"ranks nearer the top in {label} than in {a}")
    stayed, moved = moves[0], sum(moves.values()) - moves[0]
    up = sum(count for move, count in moves.items() if move < 0)
    return Chart(
        "Rank moves",
        f"Of {stayed + moved:,} entries that both sides surfaced on a turn, {stayed:,} kept their rank, "
        f"{up:,} stand nearer the top in {label}, {moved - up:,} further down.",
        canvas.svg(),
        (f"ranks nearer the top in {label}", "entries"),
        _table(names, [Series("entries", "plain", totals)]),
    )


def latency_chart(run: Run, summary: RunSummary) -> Chart | None:
    """A row of columns per side that was timed, over one axis; None where none was."""
    timed = {side.label: summary.sides[side.label] for side in run.sides if _is_timed(summary.sides, side.label)}
    if not timed:
        return None
    places = [BOUNDS.index(upper) for did in timed.values() for upper, _ in did.latency_histogram if upper in BOUNDS]
    axis = BOUNDS[min(places, default=0) : max(places, default=0) + 1]
    canvas = _latency_canvas(timed, axis)
    rows = [
        (
            label,
            _seconds(did.latency_p50_seconds),
            _seconds(did.latency_p95_seconds),
            _seconds(did.latency_p99_seconds),
            f"{did.latency_turns:,}",
        )
        for label, did in timed.items()
    ]
    said = "; ".join(f"{label}: p50 {p50}, p95 {p95} over {turns} turns" for label, p50, p95, _, turns in rows)
    return Chart(
        "Latency per side",
        f"Turns by latency, slower to the right, each side by its own highest column. {said}.",
        canvas.svg(),
        ("side", "p50", "p95", "p99", "turns"),
        tuple(rows),
    )


def _is_timed(sides: Mapping[str, SideSummary], label: str) -> bool:
    return label in sides and bool(sides[label].latency_turns and sides[label].latency_histogram)


def _latency_canvas(timed: Mapping[str, SideSummary], axis: Sequence[float]) -> Canvas:
    canvas = Canvas(1.0, height=TOP + SIDE_HEIGHT * len(timed) + BOTTOM, form=lambda _: "")
    step = (WIDTH - LEFT - RIGHT) / len(axis)
    for row, (label, did) in enumerate(timed.items()):
        foot = 1.0 - (row + 1) / len(timed)
        canvas.text(LEFT - 8, canvas.y(foot) - SIDE_HEIGHT / 2 + 6, label, "side-label end")
        canvas.line(LEFT, canvas.y(foot), WIDTH - RIGHT, canvas.y(foot), "axis")
        most = max(turns for _, turns in did.latency_histogram)
        for upper, turns in did.latency_histogram:
            if turns:
                x = LEFT + step * axis.index(upper)
                tip = f"{label}: {turns:,} turns {bound(lower_bound(upper))} to {bound(upper)}"
                canvas.box(x + 0.5, foot, step - 1, foot + 0.86 / len(timed) * turns / most, _side_css(row), tip)
    canvas.labels([bound(upper) for upper in axis], "latency, up to")
    return canvas


def _side_css(place: int) -> str:
    return "side-a" if place == 0 else "side-b"


def _seconds(seconds: float | None) -> str:
    return "–" if seconds is None else duration(seconds)


def _said(estimate: Estimate | None, places: int) -> str:
    """A mean and its interval in words."""
    if estimate is None:
        return "not measured"
    figure = mean(estimate, places)
    return f"{figure.number} {figure.note}".strip()


def _within(counts: Counter[int], start: int, width: int) -> float:
    return float(sum(counts[number] for number in range(start, start + width)))


def _span(first: int, last: int) -> str:
    return f"{first:,}" if first == last else f"{first:,}–{last:,}"


def _signed_span(first: int, last: int) -> str:
    return f"{first:+d}" if first == last and first else str(first) if first == last else f"{first:+d} to {last:+d}"


def _table(names: Sequence[str], series: Sequence[Series]) -> tuple[tuple[str, ...], ...]:
    values: Iterator[tuple[float | None, ...]] = zip(*(each.values for each in series), strict=True)
    return tuple((name, *(f"{value or 0:,g}" for value in row)) for name, row in zip(names, values, strict=True))
