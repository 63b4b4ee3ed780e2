"""What a pilot comes to, in sentences: which side to take and why, and what that rests on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from shadowdiff.evaluation.results import Evaluation
from shadowdiff.pilot.recommend import RULE, times_faster
from shadowdiff.pilot.results import (
    LEAST_SESSIONS,
    LEAST_TURNS,
    Bill,
    Lack,
    Pilot,
    PilotSide,
    Quality,
    Recommendation,
    Why,
)
from shadowdiff.render.amounts import duration, usd
from shadowdiff.render.closing import circumstances as run_circumstances
from shadowdiff.render.evaluation import PLACES, circumstances, how_counted, probability, signed
from shadowdiff.render.sessions import counted
from shadowdiff.render.text import clip, one_line
from shadowdiff.runs import Estimate, Run, RunConfig

NAME_CELLS = 40
MORE_TURNS = 4
"""Times as many, where a sample is too small even if all of it is labelled."""
INTERVAL = "[ ]: 95% interval, resampling whole sessions"
LESS = "less {a}: the difference, over the same turns"
CLOSED = "gap closed: that difference as a share of the best side's, of those that are shown to be better than {a}"
COLUMNS = "p50, p95: latency of a turn; per 1,000: cost of 1,000 turns, none from the cache"
ENOUGH = f"It takes at least {LEAST_TURNS} turns in {LEAST_SESSIONS} sessions."
OWN_MACHINE = "own machine: it asks no provider, and what the machine costs is not counted"
UNASKED = "{sides}: nobody was asked, so the cost is not known; to know it, ask anew: --no-cache"


def conclusion(pilot: Pilot) -> list[str]:
    """Which side to take, and then why; or why that cannot be said."""
    found = pilot.recommendation
    if found is None:
        return list(_lacking(pilot))
    words = _Words(pilot, found)
    said = {Why.NONE_BETTER: words.kept, Why.AS_GOOD: words.as_good, Why.BEST: words.the_best}[found.why]()
    return [*said, *_unmeasured(pilot)]


def _unmeasured(pilot: Pilot) -> Iterator[str]:
    """The sides that the recommendation says nothing of: not to be taken for sides that are no better."""
    for side in pilot.sides:
        if side.quality is None:
            yield f"{side_name(side)} was not measured, as it ranked no labelled turn: it may be better or worse."


def _lacking(pilot: Pilot) -> Iterator[str]:
    if pilot.why_not is not None:
        yield f"Which side is better cannot be said: {one_line(pilot.why_not)}."
    elif pilot.evaluation is None:
        yield f"Which side is better cannot be said: no turn has a label. {ENOUGH}"
    else:
        yield f"Which side is better cannot be said: {_too_few(pilot.evaluation)}, which is too few. {ENOUGH}"
    yield "By how much the sides differ, how long they take and what they cost can: it stands above."


def _too_few(evaluation: Evaluation) -> str:
    turns, sessions = counted(evaluation.turns, "turn"), counted(evaluation.sessions, "session")
    labelled = f"{turns} in {sessions} {'has' if evaluation.turns == 1 else 'have'} labels"
    failed = evaluation.left_out
    if not failed.unfinished_turns:
        return labelled
    by = ", ".join(f"{label} {number:,}" for label, number in failed.failed.items())
    return f"{labelled} and a ranking by every side (a side failed on {failed.unfinished_turns:,} others: {by})"


def next_commands(pilot: Pilot, run: Run) -> list[str]:
    """What to do about what is lacking: to be copied, so never to be cut."""
    lack = None if run.summary is None else pilot.lacks(run.summary.turns, run.summary.sessions)
    if run.summary is None or lack is None:
        return []
    if lack is Lack.TURNS:
        sides = " ".join(
            f"{'-B' if at else '-A'} {shlex.quote(one_line(side.name))}" for at, side in enumerate(run.sides)
        )
        return [f"shadowdiff pilot --queries {MORE_TURNS * run.summary.turns} {sides}{_drawn_from(run.config)}"]
    run_id = one_line(run.run_id)
    again = f"shadowdiff replay --resume {run_id} --retry-failed"
    label = f"shadowdiff label {run_id} --queries {run.summary.turns} --stratify org"
    return [again if lack is Lack.RANKINGS else label, f"shadowdiff pilot --run {run_id}"]


def _drawn_from(config: RunConfig) -> str:
    """The options by which a larger sample comes from the same sessions, and is counted alike."""
    window, usual = config.window, RunConfig()
    moments = {"since": window.since, "until": window.until}
    options = [("org", org) for org in window.org_ids]
    options += [(name, moment.isoformat(timespec="minutes")) for name, moment in moments.items() if moment]
    kept = {"top-k": "top_k", "pool": "pool", "pool-from": "pool_from"}
    options += [
        (name, str(getattr(config, field)))
        for name, field in kept.items()
        if getattr(config, field) != getattr(usual, field)
    ]
    return "".join(f" --{name} {shlex.quote(one_line(value))}" for name, value in options)


def sample_facts(pilot: Pilot, run: Run) -> list[str]:
    """What was replayed."""
    summary = run.summary
    if summary is None:
        return []
    sample = f"{counted(summary.turns, 'turn')} in {counted(summary.sessions, 'session')}"
    window = run.config.window
    drawn = f"drawn by seed {window.seed}" if window.sample else ""
    failed = f"{counted(summary.failed_turns, 'turn')} that a side failed on" if summary.failed_turns else ""
    labelled = f"{pilot.labelled_turns:,} with labels"
    return [fact for fact in (sample, drawn, labelled, failed, *run_circumstances(run)) if fact]


def grounds(pilot: Pilot) -> Iterator[str]:
    """What the figures of labels rest on, and what so large a sample can show."""
    evaluation = pilot.evaluation
    if evaluation is None or pilot.recommendation is None:
        return
    yield circumstances(evaluation)
    shares = [(side.label, side.quality.judged) for side in pilot.sides if side.quality is not None]
    judged = ", ".join(f"{label} {share:.0%}" for label, share in shares if share is not None)
    yield f"entries with a label in the first {pilot.measure.depth}: {judged}; {how_counted(evaluation)}"
    yield from _shown(pilot, evaluation)


def notes(pilot: Pilot, run: Run) -> Iterator[str]:
    """What the columns are, and the rule by which a side is recommended."""
    found, a = pilot.recommendation, run.baseline.label
    parts = [INTERVAL, *([] if found is None else [LESS]), *([CLOSED] if found and found.best else []), COLUMNS]
    yield "; ".join(parts).format(a=a)
    if any(side.cost.bill is Bill.OWN for side in pilot.sides):
        yield OWN_MACHINE
    unasked = [side.label for side in pilot.sides if side.cost.bill is Bill.UNKNOWN and side.cost.has_price]
    if unasked:
        yield UNASKED.format(sides=" and ".join(unasked))
    if found is not None:
        yield f"the rule: {RULE.format(margin=pilot.margin)}"


def side_name(side: PilotSide) -> str:
    """Label and name."""
    return f"{side.label} {clip(one_line(side.name), NAME_CELLS)}"


def share(estimate: Estimate) -> str:
    """`81% of the gap [68, 92]`."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "no known share of the gap"
    return f"{estimate.value:.0%} of the gap [{100 * estimate.low:.0f}, {100 * estimate.high:.0f}]"


def times(ratio: float) -> str:
    """`9×`, `1.4×`."""
    return f"{ratio:.0f}×" if ratio >= 1.95 else f"{ratio:.1f}×"


def _shown(pilot: Pilot, evaluation: Evaluation) -> Iterator[str]:
    """The differences that the sample could have shown, by side."""
    found = [(s.label, s.quality.difference) for s in pilot.sides if s.quality is not None and s.quality.difference]
    varying = [(label, item) for label, item in found if item.detectable is not None]
    if not varying:
        yield "what so many sessions could show is not known, as they do not vary"
        return
    each = ", ".join(f"±{item.detectable:.{PLACES}f} for {label}" for label, item in varying)
    most = max(item.sessions_needed or 0 for _, item in varying)
    yield (
        f"{counted(evaluation.sessions, 'session')} can show differences on {pilot.measure.name} from {each} on "
        f"(80% power at 0.05); for ±{evaluation.wanted:g} it takes about {most:,} sessions"
    )


class _Words:
    """Sentences about a recommendation."""

    def __init__(self, pilot: Pilot, found: Recommendation) -> None:
        self._pilot = pilot
        self._found = found
        self._by_label = {side.label: side for side in pilot.sides}
        self._a = pilot.sides[0]
        self._take = self._by_label[found.take]
        self._measure = pilot.measure.name

    def kept(self) -> Iterator[str]:
        """The baseline is kept."""
        yield (
            f"Keep {side_name(self._a)}: no side is shown to be better on {self._measure}, "
            "so there is no gap to be closed."
        )
        yield from self._nearest()
        other = self._side(self._found.alternative)
        if other is not None:
            less = f"{other.label} less {self._a.label}: {_signed(other.difference)}"
            spared = _spared(other, self._a)
            yield (
                f"{side_name(other)} is shown not to be worse by more than {self._pilot.margin:g} ({less}), {spared}: "
                "it could take its place."
            )

    def the_best(self) -> Iterator[str]:
        """The best is taken, and what part of the way another one goes."""
        only = "the only side that is" if self._is_only_better() else "the best of those that are"
        yield (
            f"Take {side_name(self._take)}: {only} shown to be better than {self._a.label} on {self._measure}, by "
            f"{_signed(self._take.difference)}, {_money(self._take)}{_at(self._take)}."
        )
        yield from self._part_of_the_way()
        yield from self._doubts()

    def as_good(self) -> Iterator[str]:
        """A cheaper side is taken, as it is as good as the best."""
        best = self._by_label[self._found.best or self._found.take]
        yield (
            f"Take {side_name(self._take)}: it {self._closes(self._take)}, {_spared(self._take, best)}, and is shown "
            f"not to be worse than the best, {side_name(best)}, by more than {self._pilot.margin:g} on "
            f"{self._measure}: {_signed(self._take.behind_best)}."
        )
        yield from self._part_of_the_way()
        yield from self._doubts()

    def _part_of_the_way(self) -> Iterator[str]:
        other = self._side(self._found.alternative)
        if other is not None:
            yield f"{side_name(other)} {self._closes(other)}, {_spared(other, self._take)}."

    def _doubts(self) -> Iterator[str]:
        """What is not known of costs, and what would follow from it."""
        bought = self._side(self._found.unless_dearer)
        if bought is not None:
            yield f"If that machine costs more, {side_name(bought)} is as good {_money(bought)}."
        if self._found.unpriced:
            yield (
                f"What {' and '.join(self._found.unpriced)} costs is not known, so that it could not be preferred: "
                "it is as good."
            )

    def _closes(self, side: PilotSide) -> str:
        return f"closes {share(side.closed)}" if side.closed else "closes a part of the gap"

    def _nearest(self) -> Iterator[str]:
        found = [(side, side.quality) for side in self._pilot.sides[1:] if side.quality is not None]
        if not found:
            return
        side, quality = max(found, key=lambda pair: pair[1].mean.value or 0.0)
        yield f"Nearest comes {side_name(side)}, {_signed(side.difference)}{_standing(quality)}."

    def _is_only_better(self) -> bool:
        return sum(side.is_better for side in self._pilot.sides) == 1

    def _side(self, label: str | None) -> PilotSide | None:
        return None if label is None else self._by_label[label]


def _standing(quality: Quality) -> str:
    """What a difference alone does not say: that it is worse; or its p, where the interval alone would have passed."""
    mean = quality.difference and quality.difference.mean
    if not mean or mean.low is None or mean.high is None:
        return ""
    if mean.high < 0:
        return ", which is worse"
    if mean.low <= 0 or quality.p is None:
        return ""
    return f", which may be chance (p {probability(quality.p)}, corrected over the sides)"


def _signed(estimate: Estimate | None) -> str:
    return " ".join(part for part in signed(estimate) if part) if estimate is not None else "not measured"


def _money(side: PilotSide) -> str:
    cost = side.cost
    if cost.bill is Bill.OWN:
        return "on your own machine"
    if cost.usd_per_month is not None:
        return f"for {usd(cost.usd_per_month)} a month"
    if cost.usd_per_turn is not None:
        return f"for {usd(1000 * cost.usd_per_turn)} per 1,000 turns"
    return "at a cost that is not known"


def _at(side: PilotSide) -> str:
    return "" if side.p50_seconds is None else f" at {duration(side.p50_seconds)} a turn (p50)"


def _spared(side: PilotSide, than: PilotSide) -> str:
    """What a side's latency and cost are beside another's: what speaks against it too."""
    parts = [_latency(side, than)]
    money, other = _money(side), _money(than)
    if money != other or not parts[0]:
        parts.append(money if money == other else f"{money} instead of {_alike(other, money)}")
    return " and ".join(part for part in parts if part)


def _alike(other: str, money: str) -> str:
    """What another side costs, without what reads ill or was said: `for`, `at`, and `a month` where both have."""
    of_month = " a month"
    both = other.endswith(of_month) and money.endswith(of_month)
    return other.removeprefix("for ").removeprefix("at ").removesuffix(of_month if both else "")


def _latency(side: PilotSide, than: PilotSide) -> str:
    """`at 9× lower latency (p50 20.1 ms instead of 187 ms)`; nothing where they are about equal."""
    if side.p50_seconds is None or than.p50_seconds is None:
        return ""
    both = f"(p50 {duration(side.p50_seconds)} instead of {duration(than.p50_seconds)})"
    if faster := times_faster(side, than):
        return f"at {times(faster)} lower latency {both}"
    slower = times_faster(than, side)
    return f"at {times(slower)} the latency {both}" if slower else ""
