"""Whether a judge can be trusted, for people: its checks, what speaks against it, and the texts that speak to it."""

from __future__ import annotations

from collections.abc import Iterator

from shadowdiff.judging.results import FlaggedEntry, JudgeReport, LabelCheck, Preference
from shadowdiff.render.evaluation import too_few
from shadowdiff.render.judgement_figures import NAME_CELLS, counted_queries, percent, share_row
from shadowdiff.render.tables import Figure, TableRow, mean
from shadowdiff.render.text import clip, one_line
from shadowdiff.runs import Estimate

MANY_WITHOUT = 0.1
"""Share of the drawn without a verdict, from which on the others may not speak for all."""
QUOTE_CELLS = 160
ONE_ORDER = "asked in one order only: whether another order would change its mind is not known"
MOST_FLAGGED = 5


def trust_rows(report: JudgeReport, b: str) -> list[TableRow]:
    """The checks that are shares, under HEADINGS of `judgement_figures`; those of nothing are left out."""
    flips, length = report.flips, report.length
    rows = [
        ("flipped by position", flips.flipped),
        ("of these, for the first list", flips.first_of_flipped),
        ("wavered", flips.wavered),
        ("first list named, single opinions", flips.first_named),
        ("longer list named", length.longer_won),
        (f"{b}'s list is the longer", length.b_longer),
        (f"{b} named where it is", length.b_when_longer),
        (f"{b} named where it is not", length.b_when_shorter),
    ]
    if report.labels is not None:
        rows.append(("as labels say, where both name one", report.labels.both_named))
    return [share_row(label, share) for label, share in rows if share.whole]


def kappa_text(report: JudgeReport) -> str:
    """Agreement with labels beyond chance."""
    if report.labels is None:
        return "labels: none on queries that the judge decided, so that nothing can be said of agreement with them"
    found = report.labels.agreement
    kappa = " ".join(part for part in mean(Estimate(*found.kappa), 2) if part)
    return f"labels: the judge agrees on {found.agreed:,} of {counted_queries(found.items)}; Cohen's kappa {kappa}"


def label_rows(labels: LabelCheck, a: str, b: str) -> tuple[list[str], list[TableRow]]:
    """Headings and rows: what labels prefer, by what the judge does."""
    names = {Preference.A: a, Preference.TIE: "tie", Preference.B: b}
    rows = [
        TableRow(f"labels: {names[of]}", [Figure(f"{number:,}") for number in row.values()])
        for of, row in labels.table.items()
    ]
    return [f"judge: {names[judge]}" for judge in Preference], rows


def cut_text(report: JudgeReport) -> str:
    """Entries that the judge did not read to their end; nothing where there are none."""
    if not report.cut_entries:
        return ""
    what = "entry was" if report.cut_entries == 1 else "entries were"
    return f"{report.cut_entries:,} {what} shown cut to fit, on {counted_queries(report.cut_turns)}"


def flagged_heading(report: JudgeReport) -> str:
    """How many entries speak to their reader, and how the lists fared that alone held one."""
    heading = f"entries whose text reads like an instruction: {len(report.flagged):,}"
    if not report.holders.whole:
        return heading
    favoured = " ".join(part for part in percent(report.holders) if part)
    return f"{heading}; a list that alone held one won {report.holders.part:,} of {report.holders.whole:,}, {favoured}"


def flagged_entry_text(entry: FlaggedEntry) -> str:
    """Which one it is."""
    return one_line(f"{entry.entry_id}  {clip(one_line(entry.title), NAME_CELLS)} · {entry.org_id}")


def flagged_fared_text(entry: FlaggedEntry, a: str, b: str) -> str:
    """Where it stood, and how its list fared."""
    both = entry.turns - entry.only_in_a - entry.only_in_b
    stood = [(entry.only_in_a, f"in {a} only"), (entry.only_in_b, f"in {b} only"), (both, "in both")]
    places = ", ".join(f"{number:,} {where}" for number, where in stood if number)
    fared = f"its list won {entry.favoured.part:,} of {entry.favoured.whole:,}" if entry.favoured.whole else ""
    return " · ".join(part for part in (f"on {counted_queries(entry.turns)}: {places}", fared) if part)


def flagged_quote(entry: FlaggedEntry) -> str:
    """What reads like an instruction."""
    return clip(f"“{one_line(entry.quote)}”", QUOTE_CELLS)


def warnings(report: JudgeReport, b: str) -> Iterator[str]:
    """What speaks against taking a side's figures as they are."""
    yield from _obedience(report)
    if report.decided:
        yield from too_few(report.decided_sessions)
    without = sum(report.abstained.values()) + sum(report.undecided.values())
    if without > MANY_WITHOUT * report.drawn:
        yield f"{without:,} of {counted_queries(report.drawn)} have no verdict; the others may not speak for them."
    yield from _position(report)
    yield from _length(report, b)
    yield from _labels(report)


def _obedience(report: JudgeReport) -> Iterator[str]:
    if report.seems_obedient:
        counts = "are counted" if report.count_flagged else "are not counted"
        yield (
            "The judge seems to obey text in entries: lists win that alone hold what reads like an instruction. Such "
            f"verdicts {counts}; read the entries."
        )


def _position(report: JudgeReport) -> Iterator[str]:
    flips = report.flips
    if not flips.prefers_first and not flips.prefers_second:
        return
    first = flips.first_named.value or 0.0
    place, share = ("first", first) if flips.prefers_first else ("second", 1 - first)
    rest = (
        "As both orders were asked, that makes ties, not winners."
        if report.both_orders
        else "Each was asked in one order, drawn by a coin: that makes noise, and favours neither side."
    )
    yield f"The judge goes by place: it names the list shown {place} in {share:.0%} of its opinions. {rest}"


def _length(report: JudgeReport, b: str) -> Iterator[str]:
    length = report.length
    if length.prefers_longer or length.prefers_shorter:
        longer = length.longer_won.value or 0.0
        which, share = ("longer", longer) if length.prefers_longer else ("shorter", 1 - longer)
        yield (
            f"The judge goes by length: the {which} list wins {share:.0%} of the time, and not only because {b}'s list "
            f"is the longer one on {length.b_longer.value:.0%}."
        )
    elif length.is_confounded:
        which = "longer" if length.b_longer.part else "shorter"
        yield f"{b}'s list is the {which} one every time: what length does cannot be told apart from the side."


def _labels(report: JudgeReport) -> Iterator[str]:
    low = None if report.labels is None else report.labels.agreement.kappa.low
    if low is not None and low <= 0:
        yield "The judge is not shown to agree with the labels beyond chance: the interval of kappa reaches 0."
