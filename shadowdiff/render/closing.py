"""The summary at the end of a run: plain aligned text that can be pasted into a pull request."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from shadowdiff.records import Outcome
from shadowdiff.render.fidelity import fidelity_lines
from shadowdiff.render.lines import BOLD, DIM, FAILED, Line, Span, flowed
from shadowdiff.render.sessions import INDENT, counted, moment
from shadowdiff.render.sides import side_lines
from shadowdiff.render.tables import Figure, TableRow, mean, sentence, share_of, table
from shadowdiff.render.text import clip, one_line, wrap
from shadowdiff.runs import PairSummary, Run, RunConfig, RunStatus, RunSummary, Side
from shadowdiff.summary import percent_change

FINGERPRINT_CHARS = 12
INTERVAL = "[ ]: 95% interval, resampling whole sessions"


def summary_lines(run: Run, width: int) -> Iterator[Line]:
    """The whole block, each line within `width` cells."""
    yield [Span(f"summary of run {clip(one_line(run.run_id), width - 15)}", BOLD)]
    yield from _circumstances(run, width)
    summary = run.summary
    if summary is None:
        yield from sentence("This run has no summary yet: it was not finished.", width)
        return
    if summary.turns:
        yield []
        yield from session_sentences(run, summary, width)
        yield []
        yield from _pair_table(run, summary, width)
        yield []
        if summary.fidelity is not None:
            yield from fidelity_lines(run, summary.fidelity, width)
            yield []
        yield from side_lines(run, summary, width)
        yield []
    yield from sentence(verdict(run, summary), width, BOLD)


def verdict(run: Run, summary: RunSummary) -> str:
    """The one sentence that a run comes down to."""
    if not summary.turns:
        return "No turns: nothing was compared."
    if all(pair.turns.get(Outcome.FAILED, 0) == summary.turns for pair in summary.pairs.values()):
        return f"Nothing was compared: {_failures(summary.turns)}."
    return "; ".join(_pair_verdict(run, label, summary) for label in summary.pairs) + "."


def circumstances(run: Run) -> list[str]:
    """When, by which version, over which pools."""
    facts = [f"{moment(run.started_at)} UTC", f"shadowdiff {one_line(run.version)}"]
    facts += [f"top {run.config.top_k} of pools of up to {run.config.pool}"]
    return facts + (_pools(run.summary) if run.summary else [])


def cut_short(run: Run) -> str:
    """That the run was not finished, and what it counts; empty where it was, or has no summary."""
    summary = run.summary
    if summary is None or run.status is RunStatus.DONE:
        return ""
    cut = "interrupted" if run.status is RunStatus.INTERRUPTED else "still running"
    so_far = f"{counted(summary.turns, 'turn')} of {counted(summary.sessions, 'session')}"
    return f"{cut} after {so_far}: what follows counts these alone"


def _circumstances(run: Run, width: int) -> Iterator[Line]:
    yield from flowed([Span(fact) for fact in circumstances(run)], width, INDENT)
    if cut := cut_short(run):
        yield from sentence(cut, width, FAILED)
    for side in run.sides:
        yield from _side_lines(side, width, sees_redacted=side.label in run.config.redacted_sides)


def _pools(summary: RunSummary) -> list[str]:
    pools = ", ".join(f"{turns:,} {origin.value}" for origin, turns in summary.pools.items())
    facts = [f"pools: {pools}"] if pools else []
    if summary.unpooled_turns:
        facts.append(f"{counted(summary.unpooled_turns, 'turn')} without a recorded pool")
    if summary.missing_entries:
        facts.append(f"pool entries no longer in the knowledge base: {summary.missing_entries:,}")
    return facts


def _side_lines(side: Side, width: int, *, sees_redacted: bool) -> Iterator[Line]:
    name, spec = one_line(side.name), one_line(side.spec)
    parts = [Span(f"{side.label}  {name}" + ("" if name == spec else f"  {spec}"))]
    if side.min_score is not None:
        parts.append(Span(f"min_score {side.min_score:g}"))
    if sees_redacted:
        parts.append(Span("saw redacted texts"))
    parts.append(Span(f"fingerprint {one_line(side.fingerprint[:FINGERPRINT_CHARS])}", DIM))
    lines = wrap(parts[0].text, width - len(INDENT), 4)
    yield from ([Span(INDENT), Span(line)] for line in lines[:-1])
    yield from flowed([Span(lines[-1]), *parts[1:]], width, INDENT)


def session_sentences(run: Run, summary: RunSummary, width: int) -> Iterator[Line]:
    """Per pair, in how many sessions the sides surfaced different entries."""
    a = run.baseline.label
    for label, pair in summary.pairs.items():
        if not pair.sessions:
            continue
        compared = counted(pair.sessions, "session")
        text = (
            f"In {pair.sessions_changed:,} of {compared} {a} and {label} surfaced different entries; "
            f"in {pair.sessions_where_b_adds:,} {label} surfaced entries that {a} missed."
        )
        yield from sentence(text, width)


def pair_figures(run: Run, summary: RunSummary) -> tuple[list[str], list[TableRow]]:
    """Headings and rows of the table of pairs, the noise floor last where it was measured."""
    a = run.baseline.label
    columns = [(f"{a} → {label}", pair) for label, pair in summary.pairs.items()]
    columns += [] if summary.noise is None else [(f"{a} → {a}, noise", summary.noise)]
    other = next(iter(summary.pairs)) if len(summary.pairs) == 1 else "other"
    measures = _measures(run.config, a, other)
    rows = [TableRow(label, [measure(pair) for _, pair in columns]) for label, measure in measures]
    return [heading for heading, _ in columns], rows


def _pair_table(run: Run, summary: RunSummary, width: int) -> Iterator[Line]:
    headings, rows = pair_figures(run, summary)
    yield from table(headings, rows, width)
    if any(pair.only_in_a_per_session.low is not None for pair in summary.pairs.values()):
        yield from sentence(INTERVAL, width, DIM)


Measure = Callable[[PairSummary], Figure]


def _measures(config: RunConfig, a: str, other: str) -> list[tuple[str, Measure]]:
    """Rows of the table of pairs, top to bottom."""
    return [
        *((f"{outcome.value} turns", _turns(outcome)) for outcome in Outcome),
        ("sessions that differ", lambda pair: share_of(pair.sessions_changed, pair.sessions)),
        (f"  with entries {a} missed", lambda pair: share_of(pair.sessions_where_b_adds, pair.sessions)),
        (f"distinct entries, {a}", lambda pair: Figure(f"{pair.distinct_a:,}")),
        (f"distinct entries, {other}", _distinct_other),
        (f"only in {a}, per session", lambda pair: mean(pair.only_in_a_per_session, 1)),
        (f"only in {other}, per session", lambda pair: mean(pair.only_in_b_per_session, 1)),
        (f"overlap@{config.top_k}", lambda pair: mean(pair.overlap, 2)),
        (f"RBO (p = {config.rbo_p:g})", lambda pair: mean(pair.rbo, 2)),
        ("same first entry", lambda pair: mean(pair.same_top1, 2)),
        ("near-ties among one-sided", _near_ties),
    ]


def _turns(outcome: Outcome) -> Measure:
    return lambda pair: Figure(f"{pair.turns.get(outcome, 0):,}")


def _distinct_other(pair: PairSummary) -> Figure:
    change = percent_change(pair.distinct_a, pair.distinct_b)
    return Figure(f"{pair.distinct_b:,}", "" if change is None else f"({change:+.1f}%)")


def _near_ties(pair: PairSummary) -> Figure:
    return share_of(pair.near_tie_entries, pair.turn_only_in_a + pair.turn_only_in_b)


def _pair_verdict(run: Run, label: str, summary: RunSummary) -> str:
    pair, a = summary.pairs[label], run.baseline.label
    failed = pair.turns.get(Outcome.FAILED, 0)
    compared = summary.turns - failed
    different, reordered = (pair.turns.get(kind, 0) for kind in (Outcome.DIFFERENT, Outcome.REORDERED))
    turns = counted(compared, "turn")
    if not compared:
        text = f"{a} and {label}: nothing was compared"
    elif different:
        text = f"{a} and {label} surfaced different entries in {different:,} of {turns}"
    elif reordered:
        text = f"{a} and {label} surfaced the same entries in {turns}, in another order in {reordered:,}"
    else:
        text = f"{a} and {label}: no differences in {turns}"
    return text + (f" ({_failures(failed)})" if failed else "")


def _failures(turns: int) -> str:
    return f"{counted(turns, 'turn')} failed"
