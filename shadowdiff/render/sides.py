"""What each side did, how long it took and what it cost: one table for all sides, and what its figures are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from shadowdiff.records import Usage
from shadowdiff.render.amounts import NOT_KNOWN, duration, number, usd
from shadowdiff.render.bars import latency_bars
from shadowdiff.render.lines import DIM, FAILED, Line
from shadowdiff.render.sessions import counted
from shadowdiff.render.tables import Figure, TableRow, sentence, share_of, table
from shadowdiff.render.text import clip, one_line
from shadowdiff.runs import Price, Run, RunSummary, SideSummary

TIMED = "one pool per call, cache off, after a warm-up"
CALLED = "the run's own calls, over the network, one pool per call; calls that failed and waiting are not in it"
NO_PRICE = "no price"
REASON_CELLS = 100


@dataclass(frozen=True, slots=True)
class SideFacts:
    """A column of the table: a side, what it did, and what its provider charges."""

    label: str
    name: str
    did: SideSummary
    price: Price | None
    turns_per_month: float | None

    @property
    def was_asked(self) -> bool:
        """Whether a provider was asked anything for it."""
        return bool(self.did.attempts or self.did.usage != Usage())

    @property
    def lacks_price(self) -> bool:
        """Whether a provider counted something, and nobody said what that costs."""
        return self.price is None and self.did.usage != Usage()

    @property
    def usd_per_turn(self) -> float | None:
        """Had none come from the cache."""
        return self.did.usd_per_turn

    @property
    def usd_per_month(self) -> float | None:
        """If every turn of a month were asked for."""
        return self.did.usd_per_month(self.turns_per_month)


def facts_of(run: Run, summary: RunSummary) -> list[SideFacts]:
    """The run's sides, in order, those that the summary knows."""
    return [
        SideFacts(
            side.label, side.name, summary.sides[side.label], run.config.prices.get(side.label), summary.turns_per_month
        )
        for side in run.sides
        if side.label in summary.sides
    ]


def side_lines(run: Run, summary: RunSummary, width: int) -> Iterator[Line]:
    """The table of sides, the spread of their latencies, and notes; each line within `width` cells."""
    headings, rows = side_figures(run, summary)
    if not headings:
        return
    yield from table(headings, rows, width)
    yield from latency_bars({side.label: side.did.latency_histogram for side in facts_of(run, summary)}, width)
    for note in side_notes(run, summary):
        yield from sentence(note, width, DIM)
    for failed in failure_notes(run, summary):
        yield from sentence(failed, width, FAILED)


def side_figures(run: Run, summary: RunSummary) -> tuple[list[str], list[TableRow]]:
    """Headings and rows of the table of sides; both empty where the summary knows of none."""
    sides = facts_of(run, summary)
    rows = [TableRow(row.label, [row.figure(side) for side in sides]) for row in ROWS if any(map(row.says, sides))]
    return [side.label for side in sides], rows


def side_notes(run: Run, summary: RunSummary) -> list[str]:
    """What the table's latencies and costs are."""
    sides = facts_of(run, summary)
    twice = [f"{run.baseline.label} was asked a second time, past the cache (--noise)"] if run.config.noise else []
    asked_twice = twice if sides and sides[0].was_asked else []
    are_drawn = run.config.turns_per_month is not None
    return [*_latency_notes(sides, summary), *asked_twice, *_cost_notes(sides, are_drawn=are_drawn)]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table, and whether it has something to say of a side: it is shown where it has of any."""

    label: str
    figure: Callable[[SideFacts], Figure]
    says: Callable[[SideFacts], object] = lambda side: True


def _count(of: Callable[[SideSummary], int]) -> Callable[[SideFacts], Figure]:
    return lambda side: Figure(f"{of(side.did):,}")


def _asked(of: Callable[[SideSummary], float]) -> Callable[[SideFacts], Figure]:
    """A figure of what was asked of a provider; a side that asks nobody has none."""
    return lambda side: Figure(number(of(side.did)) if side.was_asked else NOT_KNOWN)


def _latency(of: Callable[[SideSummary], float | None]) -> Callable[[SideFacts], Figure]:
    def figure(side: SideFacts) -> Figure:
        seconds = of(side.did)
        return Figure(NOT_KNOWN if seconds is None else duration(seconds))

    return figure


def _dollars(of: Callable[[SideFacts], float | None]) -> Callable[[SideFacts], Figure]:
    def figure(side: SideFacts) -> Figure:
        amount = of(side)
        return Figure(NOT_KNOWN if amount is None else usd(amount))

    return figure


def _truncated(side: SideFacts) -> Figure:
    part, whole = side.did.truncated_pairs, side.did.pairs
    return Figure(f"{part:,}", f"({100 * part / whole:.1f}%)" if part and whole else "")


def _threads(side: SideFacts) -> Figure:
    threads = side.did.latency_threads
    return Figure(NOT_KNOWN if threads is None else f"{threads:,}")


def _asked_turns(side: SideFacts) -> Figure:
    if not side.was_asked:
        return Figure(NOT_KNOWN)
    asked, turns = side.did.asked_turns, side.did.ranked_turns + side.did.failed_turns
    return share_of(asked, turns) if asked <= turns else Figure(f"{asked:,}")


def _waited(side: SideFacts) -> Figure:
    return Figure(f"{side.did.waited_seconds:,.1f} s" if side.was_asked else NOT_KNOWN)


def _escalated(side: SideFacts) -> Figure:
    turns = side.did.escalated_turns
    return Figure(NOT_KNOWN) if turns is None else share_of(turns, side.did.ranked_turns)


def _cascaded(of: Callable[[SideSummary], int]) -> Callable[[SideFacts], Figure]:
    return lambda side: Figure(f"{of(side.did):,}" if _is_cascade(side) else NOT_KNOWN)


def _is_cascade(side: SideFacts) -> bool:
    return side.did.escalated_turns is not None


def _cost(side: SideFacts) -> Figure:
    if side.lacks_price:
        return Figure(NO_PRICE)
    return Figure(NOT_KNOWN if side.did.cost_usd is None else usd(side.did.cost_usd))


ROWS = (
    Row("pairs ranked", _count(lambda did: did.pairs)),
    Row("  from the cache", _count(lambda did: did.cached_pairs)),
    Row("  truncated", _truncated),
    Row("failed turns", _count(lambda did: did.failed_turns)),
    Row("entries outside the pool", _count(lambda did: did.outside_pool), lambda side: side.did.outside_pool),
    Row("escalated turns", _escalated, _is_cascade),
    Row("  surfacing other entries", _cascaded(lambda did: did.altered_turns), _is_cascade),
    Row("  pairs spared", _cascaded(lambda did: did.spared_pairs), _is_cascade),
    Row("latency, p50", _latency(lambda did: did.latency_p50_seconds), lambda side: side.did.latency_p50_seconds),
    Row("latency, p95", _latency(lambda did: did.latency_p95_seconds), lambda side: side.did.latency_p95_seconds),
    Row("latency, p99", _latency(lambda did: did.latency_p99_seconds), lambda side: side.did.latency_p99_seconds),
    Row("  turns timed", _count(lambda did: did.latency_turns), lambda side: side.did.latency_turns),
    Row("  failed when timed", _count(lambda did: did.latency_failed_turns), lambda s: s.did.latency_failed_turns),
    Row("  threads", _threads, lambda side: side.did.latency_threads),
    Row("turns asked for", _asked_turns, lambda side: side.was_asked),
    Row("  calls answered", _asked(lambda did: did.usage.calls), lambda side: side.was_asked),
    Row("  calls that failed", _asked(lambda did: did.attempts - did.usage.calls), lambda side: side.was_asked),
    Row("  waited", _waited, lambda side: side.did.waited_seconds),
    Row("  answers put right", _asked(lambda did: did.repairs), lambda side: side.did.repairs),
    Row("  search units", _asked(lambda did: did.usage.search_units), lambda side: side.did.usage.search_units),
    Row("  tokens in", _asked(lambda did: did.usage.input_tokens), lambda side: side.did.usage.input_tokens),
    Row("  tokens out", _asked(lambda did: did.usage.output_tokens), lambda side: side.did.usage.output_tokens),
    Row("cost", _cost, lambda side: side.lacks_price or side.did.cost_usd is not None),
    Row("  per turn", _dollars(lambda side: side.usd_per_turn), lambda side: side.usd_per_turn is not None),
    Row(
        "  per 1,000 queries",
        _dollars(lambda side: None if side.usd_per_turn is None else 1000 * side.usd_per_turn),
        lambda side: side.usd_per_turn is not None,
    ),
    Row("  per month", _dollars(lambda side: side.usd_per_month), lambda side: side.usd_per_month is not None),
)
"""Top to bottom."""


def _latency_notes(sides: Sequence[SideFacts], summary: RunSummary) -> Iterator[str]:
    """What the latencies are, and what they were measured on: without it they mean nothing elsewhere."""
    called = [side for side in sides if side.did.latency_from_calls and side.did.latency_turns]
    of = f" of {_listed(called)}" if len(called) < len(sides) else ""
    if summary.machine is not None:
        timed = [side for side in sides if side.did.latency_turns and not side.did.latency_from_calls]
        whose = f" of {_listed(timed)}, timed after the run" if called and timed else ""
        yield f"latency{whose}: {'; '.join([TIMED, _measured_on(summary), *_accelerators(sides)])}"
    if called:
        yield f"latency{of}: {CALLED}"


def _measured_on(summary: RunSummary) -> str:
    machine = summary.machine
    if machine is None:
        return ""
    names = [one_line(machine.processor)] if machine.processor else []
    return ", ".join([*names, counted(machine.cores, "core"), one_line(machine.system)])


def _accelerators(sides: Sequence[SideFacts]) -> list[str]:
    return [f"{s.label} on {one_line(s.did.latency_accelerator)}" for s in sides if s.did.latency_accelerator]


def _cost_notes(sides: Sequence[SideFacts], *, are_drawn: bool) -> Iterator[str]:
    """Which turns the cost is of, whose prices, and what a month is."""
    yield from filter(None, map(_unasked, sides))
    charged = [side for side in sides if side.did.cost_usd is not None and side.price is not None]
    if charged:
        yield prices_note([(side.label, side.price) for side in charged if side.price is not None])
    if any(side.usd_per_month is not None for side in sides):
        turns = next(side.turns_per_month for side in sides if side.turns_per_month is not None)
        rate = "at the rate of all that these were drawn from" if are_drawn else "as often as these were asked"
        yield f"per month: {turns:,.0f} turns, {rate}, none from the cache"
    for side in sides:
        if side.lacks_price:
            yield no_price_note(side.label, side.name)


def _unasked(side: SideFacts) -> str:
    """Turns that cost nothing, told apart; nothing where every turn was asked for, or none was answered."""
    did, turns = side.did, side.did.ranked_turns + side.did.failed_turns
    if not did.asked_turns:
        return _unasked_at_all(side)
    others = _others(side, turns - did.asked_turns)
    what = "usage" if side.lacks_price else "cost"
    asked = f"the {counted(did.asked_turns, 'turn')} that {'was' if did.asked_turns == 1 else 'were'} asked for"
    return others and f"{what} of {side.label} counts {asked}; {others}"


def _unasked_at_all(side: SideFacts) -> str:
    """Why a side with a price cost nothing; nothing where it was asked in vain, or ranked nothing."""
    did = side.did
    if side.price is None or side.was_asked or did.failed_turns or not did.pairs:
        return ""
    if did.cached_pairs == did.pairs:
        return f"{side.label}: every turn came from the cache; nobody was asked"
    return f"{side.label}: nobody was asked for it: its scores came from the cache, or with another side's"


def _others(side: SideFacts, turns: int) -> str:
    """What became of the turns that were not asked for."""
    did = side.did
    if turns <= 0:
        return ""
    if _is_cascade(side):
        return f"of {did.ranked_turns - (did.escalated_turns or 0):,} its gate was sure"
    if did.failed_turns:
        return "the others came from the cache or failed"
    return f"{turns:,} {'came from the cache' if did.cached_pairs else 'needed no call'}"


def no_price_note(label: str, name: str) -> str:
    """That nobody said what a side's provider charges, and where to say it."""
    return f'{label}: no price given; write [prices."{one_line(name)}"] in shadowdiff.toml'


def prices_note(priced: Sequence[tuple[str, Price]]) -> str:
    """Whose prices a cost is of, and of when, from the sides' labels and prices."""
    dates = {label: one_line(price.as_of) for label, price in priced if price.as_of}
    if not dates:
        said = "prices without a date"
    elif len(set(dates.values())) == 1 and len(dates) == len(priced):
        said = f"prices as of {next(iter(dates.values()))}"
    else:
        said = "prices " + ", ".join(f"of {label} as of {when}" for label, when in dates.items())
    return f"cost: {said}, yours to keep right"


def failure_notes(run: Run, summary: RunSummary) -> Iterator[str]:
    """Why a side failed, where it is known: a provider that refused shows here, whatever its other figures."""
    for side in facts_of(run, summary):
        did = side.did
        if did.stopped is not None:
            yield f"{side.label} stopped asking: {clip(one_line(did.stopped), REASON_CELLS)}"
        if did.failed_turns and did.failure_reasons:
            turns = did.ranked_turns + did.failed_turns
            many = (
                f"all {counted(turns, 'turn')}" if not did.ranked_turns else f"{did.failed_turns:,} of {turns:,} turns"
            )
            listed = (f"{clip(one_line(reason), REASON_CELLS)} ({count:,})" for reason, count in did.failure_reasons)
            yield f"{side.label} failed on {many}: {'; '.join(listed)}"


def _listed(sides: Sequence[SideFacts]) -> str:
    labels = [side.label for side in sides]
    return " and ".join([", ".join(labels[:-1]), labels[-1]] if len(labels) > 1 else labels)
