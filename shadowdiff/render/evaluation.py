"""Which side is better on labelled turns, for people: measures, the sentence they come to, and where they come from."""

from __future__ import annotations

from collections.abc import Iterator

from shadowdiff.evaluation.evaluate import JUDGED_GAP
from shadowdiff.evaluation.results import Ceiling, Difference, Evaluation, MeasureResult, Segment, Unjudged
from shadowdiff.evaluation.retrieval import shares_of_loss
from shadowdiff.evaluation.runs import EvaluatedRuns
from shadowdiff.evaluation.segments import LEAST_SESSIONS, MOST_VALUES
from shadowdiff.paired import ALPHA, Balance
from shadowdiff.render.amounts import NOT_KNOWN
from shadowdiff.render.columns import heading_of
from shadowdiff.render.evaluated import runs_named, scope
from shadowdiff.render.lines import BOLD, DIM, FAILED, Line, Span, flowed
from shadowdiff.render.sessions import INDENT, counted
from shadowdiff.render.tables import Figure, TableRow, sentence, table
from shadowdiff.render.text import clip, one_line
from shadowdiff.runs import Estimate

PLACES = 3
LEAST_P = 0.001
"""Smaller ones are all as good as none."""
CURVE = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500, 1_000)
"""Depths of the pool at which its recall is shown, beside its knee and its end."""
SEGMENT_CELLS = 40
NAMES_SIDE_BY_SIDE = [4]
"""The first columns of a side's table, which are not parted: both means, the difference and its p."""
STAKE = "the number: by how far a grade of 1 would move two sides' gains (DCG) apart; then the rank by side"
SHARES = "in brackets: shares of the loss that another order or another pool could make good"
FEW_SESSIONS = 20
MANY_FAILED = 0.1
"""Share of labelled turns: where failures of a side take more of them from all sides, that is warned of."""
FLAT = 1e-9
"""A curve that rises by no more does not rise."""
HOW = (
    "means over turns; [ ]: 95% interval, resampling whole sessions; p: paired sign-flip test over sessions, in "
    "brackets corrected over the measures (Holm); +/=/-: better, equal and worse than {a}; detectable: the smallest "
    "difference that so many sessions show with 80% power at 0.05"
)


def evaluation_lines(evaluation: Evaluation, runs: EvaluatedRuns, width: int, most_unjudged: int) -> Iterator[Line]:
    """The whole, each line within `width` cells; at most so many unjudged entries (0: all)."""
    yield [Span(clip(f"evaluation of {runs_named(runs)}", width), BOLD)]
    for text in (*scope(runs), circumstances(evaluation), how_counted(evaluation)):
        yield from sentence(text, width, lines=6)
    for side in runs.run.sides:
        yield from flowed([Span(heading_of(side))], width, INDENT)
    for label in evaluation.others:
        yield []
        headings, rows = side_rows(evaluation, label)
        yield from table(headings, rows, width, NAMES_SIDE_BY_SIDE)
    yield from sentence(HOW.format(a=evaluation.baseline), width, DIM, lines=6)
    for block in (_segments(evaluation, width), _ceiling(evaluation.ceiling, width)):
        yield []
        yield from block
    yield from _unjudged(evaluation, width, most_unjudged)
    yield []
    for text in warnings(evaluation):
        yield from sentence(text, width, FAILED, lines=6)
    for label in evaluation.others:
        yield from sentence(conclusion(evaluation, label), width, BOLD, lines=6)


def circumstances(evaluation: Evaluation) -> str:
    """What counts, and what does not."""
    left_out = evaluation.left_out
    facts = [
        f"{counted(evaluation.turns, 'turn')} with labels in {counted(evaluation.sessions, 'session')}",
        counted(evaluation.labels, "label"),
    ]
    if left_out.unlabelled_turns:
        facts.append(f"left out: {counted(left_out.unlabelled_turns, 'turn')} without a label")
    if left_out.unfinished_turns:
        by = ", ".join(f"{label} {turns:,}" for label, turns in left_out.failed.items())
        facts.append(f"left out: {counted(left_out.unfinished_turns, 'labelled turn')} that a side failed on ({by})")
    if left_out.sides:
        facts.append(f"not measured, as it ranked no labelled turn: {', '.join(left_out.sides)}")
    if evaluation.irrelevant_turns:
        facts.append(f"{counted(evaluation.irrelevant_turns, 'turn')} without a relevant entry")
    return " · ".join(facts)


def how_counted(evaluation: Evaluation) -> str:
    """Gains, threshold, and what an entry without a label counts as."""
    return (
        f"gain of nDCG: the grade; relevant for all others: from grade {evaluation.min_grade}; "
        "an entry without a label counts as not relevant"
    )


def side_rows(evaluation: Evaluation, label: str) -> tuple[list[str], list[TableRow]]:
    """Headings and rows of a side's table, a row per measure."""
    a = evaluation.baseline
    headings = [a, label, f"{label} - {a}", "p (Holm)", "turns +/=/-", "sessions +/=/-", "detectable"]
    headings.append(f"sessions for ±{evaluation.wanted:g}")
    rows = [TableRow(found.measure.name, _figures(found, a, label)) for found in evaluation.measures]
    return headings, rows


def _figures(found: MeasureResult, a: str, label: str) -> list[Figure]:
    difference = found.differences[label]
    is_tested = difference.test is not None
    smallest, needed = (difference.detectable, difference.sessions_needed) if is_tested else (None, None)
    return [
        Figure(number(found.means[a].value)),
        Figure(number(found.means[label].value)),
        signed(difference.mean),
        _p(difference),
        Figure(balanced(difference.turns)),
        Figure(balanced(difference.sessions)),
        Figure(NOT_KNOWN if smallest is None else f"±{smallest:.{PLACES}f}"),
        Figure(NOT_KNOWN if needed is None else f"{needed:,}"),
    ]


def number(value: float | None) -> str:
    """A mean."""
    return NOT_KNOWN if value is None else f"{value:.{PLACES}f}"


def signed(estimate: Estimate) -> Figure:
    """A difference with its interval."""
    if estimate.value is None:
        return Figure(NOT_KNOWN)
    note = "" if estimate.low is None or estimate.high is None else f"[{_sign(estimate.low)}, {_sign(estimate.high)}]"
    return Figure(_sign(estimate.value), note)


def _sign(value: float) -> str:
    """Never `-0.000`."""
    return f"{round(value, PLACES) + 0.0:+.{PLACES}f}"


def _p(difference: Difference) -> Figure:
    if difference.test is None or difference.p_holm is None:
        return Figure(NOT_KNOWN)
    return Figure(probability(difference.test.p), f"({probability(difference.p_holm)})")


def probability(p: float) -> str:
    """`0.032`, or `<0.001`."""
    return f"<{LEAST_P:g}" if p < LEAST_P else f"{p:.{PLACES}f}"


def balanced(found: Balance) -> str:
    """`12/80/5`."""
    return f"{found.wins:,}/{found.ties:,}/{found.losses:,}"


def conclusion(evaluation: Evaluation, label: str) -> str:
    """The sentence that a side's table comes down to."""
    a, found = evaluation.baseline, evaluation.headline
    difference, name = found.differences[label], found.measure.name
    value = difference.mean.value or 0.0
    figures = " ".join(part for part in signed(difference.mean) if part)
    p = 1.0 if difference.test is None else difference.test.p
    corrected = 1.0 if difference.p_holm is None else difference.p_holm
    tested = f"{figures}, p {probability(p)}, corrected {probability(corrected)}"
    direction = "better" if value > 0 else "worse"
    if corrected <= ALPHA:
        return f"{label} is {direction} than {a} on {name}: {tested}."
    if p <= ALPHA:
        many = sum(found.differences[label].test is not None for found in evaluation.measures)
        return f"{label} looks {direction} than {a} on {name}, which among {many} measures may be chance: {tested}."
    return f"No difference between {a} and {label} is shown on {name}: {tested}. {_sample(evaluation, difference)}"


def _sample(evaluation: Evaluation, difference: Difference) -> str:
    """What so small a sample can show at all."""
    sessions = counted(evaluation.sessions, "session")
    if evaluation.sessions == 1:
        return f"You have {sessions}, which says nothing of how sessions vary: label more of them."
    if difference.detectable is None or difference.sessions_needed is None:
        return f"You have {sessions}, which do not vary: nothing can be said of a larger sample."
    return (
        f"You have {sessions}, which show differences from ±{difference.detectable:.{PLACES}f} on; "
        f"you would need about {difference.sessions_needed:,} to see ±{evaluation.wanted:g}."
    )


def warnings(evaluation: Evaluation) -> Iterator[str]:
    """What speaks against taking the figures as they are."""
    a, name = evaluation.baseline, evaluation.headline.measure.name
    if not evaluation.pooled_labels:
        yield (
            f"No labelled entry ({counted(evaluation.labels, 'label')}) stands in its turn's pool, so every measure is "
            "0 for every side: retrieval misses all of them, or their ids are not those of the entries."
        )
    elif evaluation.is_nothing_relevant:
        others = "" if evaluation.min_grade == 1 else " but nDCG"
        yield f"No label has a grade of {evaluation.min_grade} or more, so every measure of relevance{others} is 0."
    yield from too_few(evaluation.sessions)
    yield from _narrowed(evaluation)
    if evaluation.unequally_judged:
        others = ", ".join(evaluation.unequally_judged)
        yield (
            f"Labels favour a side: the judged share of {a}'s entries differs by more than {JUDGED_GAP:g} from that of "
            f"{others}, and entries without a label count as not relevant. Label those listed as most telling first."
        )
    for segment in evaluation.segments:
        for label in segment.worse:
            where = f"{one_line(segment.dimension)} {one_line(segment.value)}"
            figures = " ".join(signed(segment.differences[label]))
            whole = evaluation.headline.differences[label].mean.value or 0.0
            hidden = "better on the whole" if whole > 0 else "which the whole does not show"
            yield f"{label} is worse than {a} on {clip(where, SEGMENT_CELLS)}, {hidden}: {name} {figures}."


def _narrowed(evaluation: Evaluation) -> Iterator[str]:
    """That failures of some sides take so many turns from all of them that other turns are measured than were asked."""
    left_out, labelled = evaluation.left_out, evaluation.turns + evaluation.left_out.unfinished_turns
    if left_out.unfinished_turns > MANY_FAILED * labelled:
        by = ", ".join(f"{label} on {failed:,}" for label, failed in left_out.failed.items())
        yield (
            f"Every side is measured on {evaluation.turns:,} of {labelled:,} labelled turns only, as a side failed on "
            f"the others ({by}). Ask for those again (replay --resume RUN --retry-failed), or replay without it."
        )


def too_few(sessions: int) -> Iterator[str]:
    """Why intervals over so few sessions do not hold; nothing of more."""
    if sessions == 1:
        yield "One session gives no interval over sessions, and p cannot fall below 1: nothing is shown of any other."
    elif sessions < FEW_SESSIONS:
        number = counted(sessions, "session")
        yield f"Intervals of {number} are too narrow; go by p, which holds for any number."


def segment_rows(evaluation: Evaluation) -> tuple[list[str], list[TableRow]]:
    """Headings and rows of the table of segments; `!` before one that the warnings name."""
    a = evaluation.baseline
    headings = ["turns", "sessions", a, *(f"{label} - {a}" for label in evaluation.others)]
    return headings, [_segment_row(segment) for segment in evaluation.segments]


def _segment_row(segment: Segment) -> TableRow:
    label = clip(one_line(f"{segment.dimension}: {segment.value}"), SEGMENT_CELLS)
    figures = [Figure(f"{segment.turns:,}"), Figure(f"{segment.sessions:,}"), Figure(number(segment.baseline))]
    figures += [signed(found) for found in segment.differences.values()]
    return TableRow(f"! {label}" if segment.worse else label, figures)


def segment_note(evaluation: Evaluation) -> str:
    """What the intervals of segments are, and what is no segment."""
    note = f"intervals from {LEAST_SESSIONS} sessions on, not corrected for the number of segments"
    if evaluation.skipped_dimensions:
        names = clip(one_line(", ".join(evaluation.skipped_dimensions)), 2 * SEGMENT_CELLS)
        note += f"; no segments, as they have more than {MOST_VALUES} values: {names}"
    return note


def _segments(evaluation: Evaluation, width: int) -> Iterator[Line]:
    if not evaluation.segments:
        yield from sentence("segments: none, as the turns have nothing that tells them apart", width)
        return
    yield [Span(clip(f"segments, by {evaluation.headline.measure.name}", width), BOLD)]
    headings, rows = segment_rows(evaluation)
    yield from table(headings, rows, width)
    yield from sentence(segment_note(evaluation), width, DIM)


def curve_points(ceiling: Ceiling) -> list[int]:
    """The depths of the pool at which its recall is shown."""
    end = len(ceiling.recall)
    return sorted({depth for depth in CURVE if depth <= end} | {end} | ({ceiling.knee} if ceiling.knee else set()))


def loss_rows(ceiling: Ceiling) -> tuple[list[str], list[TableRow]]:
    """Headings and rows of the table that says where recall is lost."""
    k, sides = ceiling.depth, list(ceiling.losses.values())
    shares = list(shares_of_loss(ceiling.losses).values())
    rows = [
        TableRow(f"Recall@{k}", [Figure(number(loss.recall)) for loss in sides]),
        TableRow(f"lost: more than {k} relevant", [Figure(number(loss.to_depth)) for loss in sides]),
        TableRow(
            "lost: not in the pool",
            [_lost(loss.to_retrieval, share, 0) for loss, share in zip(sides, shares, strict=True)],
        ),
        TableRow(
            "lost: ranked too low",
            [_lost(loss.to_reranker, share, 1) for loss, share in zip(sides, shares, strict=True)],
        ),
    ]
    return list(ceiling.losses), rows


def _lost(loss: float, shares: tuple[float, float] | None, at: int) -> Figure:
    return Figure(number(loss), "" if shares is None else f"({shares[at]:.0%})")


def ceiling_sentence(ceiling: Ceiling) -> str:
    """What a deeper pool would bring."""
    end = len(ceiling.recall)
    if not end:
        return "The pools are empty: retrieval finds nothing."
    reached = f"The pools hold {ceiling.recall[-1]:.1%} of what is relevant"
    if ceiling.recall[-1] - ceiling.recall[0] <= FLAT:
        return f"{reached}; what lies beyond their first entry adds nothing to it."
    if ceiling.knee is None:
        return f"{reached}; recall grows evenly to their end at {end}."
    at_knee = ceiling.recall[ceiling.knee - 1]
    knee = f"their first {ceiling.knee}: the knee, beyond which an entry brings less than average"
    return f"{reached}, {at_knee:.1%} within {knee}."


def _ceiling(ceiling: Ceiling | None, width: int) -> Iterator[Line]:
    if ceiling is None:
        yield from sentence("retrieval: no turn has a relevant entry, so there is nothing to find", width)
        return
    yield [Span(clip(f"retrieval's ceiling, over {counted(ceiling.turns, 'turn')} with a relevant entry", width), BOLD)]
    if ceiling.recall:
        points = curve_points(ceiling)
        row = TableRow("recall of the pool's first", [Figure(number(ceiling.recall[at - 1])) for at in points])
        yield from table([f"{at:,}" for at in points], [row], width)
    yield from sentence(ceiling_sentence(ceiling), width)
    yield []
    headings, rows = loss_rows(ceiling)
    yield from table(headings, rows, width)
    yield from sentence(SHARES, width, DIM)


def _unjudged(evaluation: Evaluation, width: int, most: int) -> Iterator[Line]:
    found = evaluation.unjudged
    if not found:
        return
    shown = found[: most or None]
    yield []
    yield [Span(clip(unjudged_heading(evaluation), width), BOLD)]
    for item in shown:
        lead = f"{INDENT}{item.stake:.2f}  {ranks_text(item)}  "
        yield [Span(clip(f"{lead}{entry_text(item)}", width))]
        yield [Span(clip(f"{INDENT}      turn {one_line(item.turn_id)}  {one_line(item.query)}", width), DIM)]
    yield from sentence(STAKE, width, DIM)
    if len(shown) < len(found):
        yield from sentence(f"and {len(found) - len(shown):,} more; list all of them with: --unjudged 0", width, DIM)


def unjudged_heading(evaluation: Evaluation) -> str:
    """How many there are, and in which order they stand; see STAKE for the number before each."""
    return f"without a label in a side's first {evaluation.depths[0]}: {len(evaluation.unjudged):,}, most telling first"


def ranks_text(item: Unjudged) -> str:
    """`A 14, B 1`; `–` where a side does not list it."""
    return ", ".join(f"{label} {NOT_KNOWN if rank is None else rank}" for label, rank in item.ranks.items())


def entry_text(item: Unjudged) -> str:
    """Id and title."""
    return one_line(f"{item.entry_id}  {item.title}")
