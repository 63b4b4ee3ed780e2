"""What a judge's report says, as sentences and tables that every output for people is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shadowdiff.evaluation.segments import LEAST_SESSIONS, MOST_VALUES
from shadowdiff.judging.decisions import Decision
from shadowdiff.judging.results import JudgedBy, Judgement, JudgeReport, Part, Share, Spent
from shadowdiff.judging.tally import IDENTICAL
from shadowdiff.paired import ALPHA
from shadowdiff.records import Usage
from shadowdiff.render.amounts import NOT_KNOWN, usd
from shadowdiff.render.columns import heading_of
from shadowdiff.render.evaluation import SEGMENT_CELLS, balanced, probability
from shadowdiff.render.sessions import INDENT, counted
from shadowdiff.render.tables import Figure, TableRow, share_of
from shadowdiff.render.text import clip, one_line
from shadowdiff.runs import Run, Side
from shadowdiff.stats import Interval

NAME_CELLS = 60
REASON_CELLS = 100
MOST_REASONS = 3
HEADINGS = ["queries", "share, Wilson", "over sessions"]
TIES = {
    Decision.TIE: "said to be alike",
    Decision.FLIPPED: "flipped by position",
    Decision.WAVERED: "wavered",
    Decision.IDENTICAL: "the same list, not asked",
}
"""In words, by kind."""
HOW = (
    "queries: turns that were drawn; [ ]: 95% intervals in per cent: Wilson's, as if queries were independent, and one "
    "that resamples whole sessions; flipped: it named the same place in both orders; wavered: a tie in one order, a "
    "list in the other; both count as ties; p is not corrected for the number of sides"
)
PARTS_NOTE = (
    "each part is in the whole too; +/=/-: {b} better, tied and worse, of verdicts that count; right: {b}'s share "
    f"where one list was named, with Wilson's interval from {LEAST_SESSIONS} sessions on, not corrected for the number "
    "of parts"
)


def headline(report: JudgeReport, side: Side) -> str:
    """The conclusion that a person repeats: `B name: better on 44, worse on 21, tied on 35 of 100 queries (…)`."""
    name = clip(heading_of(side), NAME_CELLS)
    if not report.drawn:
        return f"{name}: no query was drawn"
    if not report.decided:
        return f"{name}: no verdict that counts on {counted_queries(report.drawn)}"
    wins, ties, losses = report.balance
    shares = " / ".join(percents((wins, losses, ties)))
    found = f"better on {wins:,}, worse on {losses:,}, tied on {ties:,} of {counted_queries(report.decided)}"
    return f"{name}: {found} ({shares})"


def right_text(report: JudgeReport) -> str:
    """`right when they disagreed: 68% [56, 78]`, with what that is a share of."""
    if not report.right.whole:
        return "right when they disagreed: not known, as it named neither list as better on any query"
    share, spread = f"{report.right.value:.0%}", _spread(report.right.wilson, 0)
    return (
        f"right when they disagreed: {share} {spread}, {report.right.part:,} of the {report.right.whole:,} "
        f"{'query' if report.right.whole == 1 else 'queries'} where the judge named one list as better"
    )


def tested_text(report: JudgeReport, a: str, b: str) -> str:
    """Whether there is a preference at all, beyond chance."""
    how = f"p {probability(report.test.p)}, sign-flip test over {counted(report.decided_sessions, 'session')}"
    if report.test.p > ALPHA:
        return f"No preference between {a} and {b} is shown: {how}."
    better, worse = (b, a) if report.balance.wins > report.balance.losses else (a, b)
    return f"The judge prefers {better} to {worse} by more than chance: {how}."


def uncounted_texts(report: JudgeReport) -> Iterator[str]:
    """Drawn queries that do not count, and why, or that count against the rule; nothing where there are none."""
    abstained, undecided, aside = sum(report.abstained.values()), sum(report.undecided.values()), report.set_aside
    if abstained:
        kinds = ", ".join(f"{number:,} {kind.value}" for kind, number in report.abstained.items() if number)
        yield f"abstained on {abstained:,} of {report.drawn:,}, as an answer cannot be used: {kinds}"
    if undecided:
        yield f"no verdict on {undecided:,} of {report.drawn:,}: {_reasons(report)}"
    if sum(aside):
        yield (
            f"set aside {sum(aside):,} of {report.drawn:,}, as a text that reads like an instruction stands in one "
            f"list only: {aside.wins:,} better, {aside.losses:,} worse, {aside.ties:,} tied, not counted"
        )
    suspect = sum(result.is_decided and result.turn.comparison.is_suspect for result in report.turns)
    if suspect:
        yield f"counted {suspect:,}, though a text that reads like an instruction stands in one list only"


def _reasons(report: JudgeReport) -> str:
    reasons = [f"{clip(one_line(why), REASON_CELLS)} ({number:,})" for why, number in report.undecided.items()]
    more = len(reasons) - MOST_REASONS
    return "; ".join(reasons[:MOST_REASONS] + ([f"and {more:,} other reasons"] if more > 0 else []))


def result_rows(report: JudgeReport, b: str) -> list[TableRow]:
    """Under HEADINGS: wins, ties, losses, and the share right."""
    return [
        share_row(f"{b} better", report.wins),
        share_row("tied", report.tied),
        share_row(f"{b} worse", report.losses),
        share_row("right when they disagreed", report.right),
    ]


def share_row(label: str, share: Share) -> TableRow:
    """A share with both of its intervals, under HEADINGS."""
    return TableRow(
        label, [share_of(share.part, share.whole), percent(share), Figure("", _spread(share.over_sessions, 1))]
    )


def percent(share: Share) -> Figure:
    """A share with Wilson's interval."""
    return Figure(NOT_KNOWN) if share.value is None else Figure(f"{share.value:.1%}", _spread(share.wilson, 1))


def _spread(interval: Interval, places: int) -> str:
    """`[56, 78]`, in per cent; nothing where there is no interval."""
    if interval.low is None or interval.high is None:
        return ""
    return f"[{100 * interval.low:.{places}f}, {100 * interval.high:.{places}f}]"


def ties_text(report: JudgeReport) -> str:
    """The ties by kind, those that there are."""
    kinds = [f"{number:,} {TIES[kind]}" for kind, number in report.ties.items() if number]
    return f"ties: {', '.join(kinds) or 'none'}"


def overlap_text(report: JudgeReport, by: JudgedBy) -> str:
    """How far the lists are alike at all."""
    found = report.overlap
    if found.value is None:
        return ""
    spread = "" if found.low is None else f" [{found.low:.2f}, {found.high:.2f}], over sessions"
    same = report.identical
    return f"overlap of the top {by.top_k}: {found.value:.2f}{spread}; the same list on {same.part:,} of {same.whole:,}"


def difference_rows(report: JudgeReport) -> list[TableRow]:
    """By how much the lists differ: not at all, in order only, in entries, and within these by how many."""
    by_name = {part.name: part_row(part) for part in report.by_difference}
    same, _ = by_name.pop(IDENTICAL, None), by_name.pop(report.reordered.name, None)
    whole = [part_row(report.reordered), part_row(report.different)]
    within = [TableRow(INDENT + row.label, row.figures) for row in by_name.values()]
    return [*([same] if same else []), *whole, *within]


def part_headings(b: str) -> list[str]:
    """Of `part_row`."""
    return ["queries", "sessions", f"{b} +/=/-", "right"]


def part_row(part: Part) -> TableRow:
    """How a part of the drawn queries ends."""
    label = clip(one_line(part.name), SEGMENT_CELLS)
    counts = [Figure(f"{part.drawn:,}"), Figure(f"{part.sessions:,}"), Figure(balanced(part.balance))]
    return TableRow(label, [*counts, percent(part.right)])


def orgs_text(report: JudgeReport) -> str:
    """Why there are no parts by org; nothing where there are."""
    if report.by_org:
        return ""
    why = "there is one" if report.orgs == 1 else f"there are more than {MOST_VALUES}: {report.orgs:,}"
    return f"by org: no parts, as {why}" if report.orgs else ""


def circumstances(judgement: Judgement) -> list[str]:
    """Who judged what."""
    by = judgement.by
    facts = [
        f"judge {clip(one_line(by.judge), NAME_CELLS)}",
        f"model {clip(one_line(by.model), NAME_CELLS)}",
        "each asked in both orders" if by.both_orders else "each asked in one order",
        f"top {by.top_k} of each side",
        f"{counted_queries(by.queries)} wanted",
        f"stratified by {one_line(by.stratified_by)}" if by.stratified_by else "",
        *(
            f"{label}: {report.drawn:,} drawn in {counted(report.sessions, 'session')}"
            for label, report in judgement.reports.items()
        ),
        f"since {one_line(by.since)}" if by.since else "",
        f"seed {by.seed}",
    ]
    return [fact for fact in facts if fact]


def spent_text(spent: Spent) -> str:
    """What the verdicts took, now and in all; a person takes neither tokens nor money."""
    asked = f"asked {counted(spent.asked, 'question')} now{_took(spent.now, spent.usd_now)}"
    reused = f"{counted(spent.reused, 'verdict')} reused"
    whole = _took(spent.whole, spent.usd_whole)
    return f"{asked}; {reused}; all verdicts{whole}" if whole else f"{asked}; {reused}"


def _took(usage: Usage, dollars: float | None) -> str:
    if not usage.calls and not dollars:
        return ""
    price = "no price known" if dollars is None else usd(dollars)
    return f", {usage.input_tokens:,} tokens in, {usage.output_tokens:,} out, {price}"


def others(judgement: Judgement, run: Run) -> Sequence[tuple[Side, JudgeReport]]:
    """Every judged side with its report, in the order of the run."""
    return [(side, judgement.reports[side.label]) for side in run.others if side.label in judgement.reports]


def counted_queries(number: int) -> str:
    """`1 query`, `2 queries`."""
    return f"{number:,} {'query' if number == 1 else 'queries'}"


def percents(counts: Sequence[int]) -> list[str]:
    """Each count's share: whole per cents where these add up to 100, else with a digit more, so that none is bent."""
    whole = sum(counts)
    rounded = [round(100 * count / whole) for count in counts]
    if sum(rounded) == 100:
        return [f"{share}%" for share in rounded]
    return [f"{100 * count / whole:.1f}%" for count in counts]
