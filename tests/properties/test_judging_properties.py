"""What holds of every judge's report: nothing is lost, sides are alike, simulated judges are seen for what they are."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowdiff.judging.comparisons import Flagged, JudgedTurn
from shadowdiff.judging.decisions import Decision
from shadowdiff.judging.results import JudgeReport, Preference
from shadowdiff.judging.tally import tally
from shadowdiff.verdicts import Abstention
from tests.judgement_cases import FIRST, SAME, SECOND, TIE, A, B, Said, abstained, compared, said

UNHURRIED = settings(deadline=None, max_examples=60)
SAID = st.sampled_from([A, B, TIE, FIRST, SECOND, None, abstained(), abstained(Abstention.CUT)])


@st.composite
def turns(draw: st.DrawFn) -> list[JudgedTurn]:
    """Of a few sessions and orgs, with whatever a judge may have said."""
    return [draw(turn(at)) for at in range(draw(st.integers(0, 14)))]


@st.composite
def turn(draw: st.DrawFn, at: int) -> JudgedTurn:
    """One of them."""
    only, places = draw(st.integers(0, 5)), st.tuples(st.booleans(), st.booleans()).filter(any)
    comparison = compared(
        at,
        only=only,
        session=f"s-{draw(st.integers(0, 3))}",
        org=draw(st.sampled_from(["acme", "zeta"])),
        is_identical=only == 0 and draw(st.booleans()),
        characters=(draw(st.integers(0, 3)), draw(st.integers(0, 3))),
        a_first=draw(st.booleans()),
    )
    if not comparison.is_identical:
        held = draw(st.lists(places, max_size=2))
        flagged = tuple(Flagged(f"kb-{number}", "", "obey", *place) for number, place in enumerate(held))
        comparison = replace(comparison, flagged=flagged)
    gain = draw(st.none() | st.sampled_from([-0.5, 0.0, 0.5]))
    return said(comparison, draw(SAID), draw(SAID), failure=draw(st.sampled_from(["", "HTTP 503"])), gain=gain)


def swapped(turn: JudgedTurn) -> JudgedTurn:
    """The same, with the sides' names exchanged."""
    before = turn.comparison
    comparison = replace(
        before,
        only_in_a=before.only_in_b,
        only_in_b=before.only_in_a,
        characters=before.characters[::-1],
        lists=before.lists[::-1],
        a_first=not before.a_first,
        flagged=tuple(replace(entry, in_a=entry.in_b, in_b=entry.in_a) for entry in before.flagged),
    )
    return replace(
        turn,
        comparison=comparison,
        a_first=turn.b_first,
        b_first=turn.a_first,
        gain=None if turn.gain is None else -turn.gain,
    )


@UNHURRIED
@given(turns(), st.booleans(), st.booleans())
def test_every_drawn_turn_is_counted_once(found: list[JudgedTurn], both_orders: bool, count_flagged: bool) -> None:
    """Won, tied, lost, abstained, undecided or set aside; and each part and each check is of no more than it says."""
    report = tally(found, both_orders=both_orders, count_flagged=count_flagged)
    without = sum(report.abstained.values()) + sum(report.undecided.values())
    assert report.drawn == len(found) == report.decided + without + sum(report.set_aside)
    assert sum(report.ties.values()) == report.balance.ties
    assert report.set_aside == (0, 0, 0) or not count_flagged
    assert sum(part.drawn for part in report.by_difference) == report.drawn
    assert sum(part.balance.wins for part in report.by_difference) == report.balance.wins
    assert sum(part.drawn for part in report.by_org) in {0, report.drawn}
    assert report.reordered.drawn + report.different.drawn + report.identical.part == report.drawn
    assert report.length.b_when_longer.whole + report.length.b_when_shorter.whole == report.length.longer_won.whole
    assert report.right.whole == report.balance.wins + report.balance.losses
    if report.labels is not None:
        table = Counter({(of, judge): n for of, row in report.labels.table.items() for judge, n in row.items()})
        assert table.total() == report.labels.agreement.items
        assert sum(table[each, each] for each in Preference) == report.labels.agreement.agreed


@UNHURRIED
@given(turns(), st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_turns_is_no_part_of_a_report(
    found: list[JudgedTurn], both_orders: bool, dice: random.Random
) -> None:
    """Not even of its intervals."""
    mixed = list(found)
    dice.shuffle(mixed)
    assert tally(mixed, both_orders=both_orders) == tally(found, both_orders=both_orders)


@UNHURRIED
@given(turns(), st.booleans())
def test_exchanging_the_sides_exchanges_wins_and_losses(found: list[JudgedTurn], both_orders: bool) -> None:
    """And nothing else: places, ties, abstentions, lengths, agreement with labels and flagged entries are the same."""
    one, other = (tally(some, both_orders=both_orders) for some in (found, [swapped(turn) for turn in found]))
    assert (one.wins, one.losses, one.tied) == (other.losses, other.wins, other.tied)
    assert (one.test, one.ties, one.abstained, one.undecided) == (
        other.test,
        other.ties,
        other.abstained,
        other.undecided,
    )
    assert one.set_aside == other.set_aside[::-1]
    assert replace(one.flips, place=other.flips.place) == other.flips
    assert one.flips.place == pytest.approx(other.flips.place)
    assert (one.length.longer_won, one.holders) == (other.length.longer_won, other.holders)
    assert [entry.favoured for entry in one.flagged] == [entry.favoured for entry in other.flagged]
    assert [(part.name, part.drawn, part.balance) for part in one.by_difference] == [
        (part.name, part.drawn, part.balance[::-1]) for part in other.by_difference
    ]
    if one.labels is not None:
        assert other.labels is not None
        assert one.labels.agreement.kappa.value == pytest.approx(other.labels.agreement.kappa.value)
        assert one.labels.both_named == other.labels.both_named


def heard(judge: str, *, number: int = 200, seed: int = 20261129) -> JudgeReport:
    """The report on a simulated judge, over sessions of two turns; the lists are as good on average."""
    dice = random.Random(seed)  # noqa: S311
    found = []
    for at in range(number):
        comparison = compared(at, session=f"s-{at // 2:03}", a_first=dice.random() < 0.5)
        better = A if dice.random() < 0.3 else B
        coins: list[Said] = [dice.choice((FIRST, SECOND)) for _ in range(2)]
        answers: dict[str, list[Said]] = {
            "at random": coins,
            "always the first": [FIRST, FIRST],
            "by the better list": [better, better],
            "breaks a tenth": [abstained() if dice.random() < 0.05 else better for _ in range(2)],
        }
        found.append(said(comparison, *answers[judge], gain=0.2 if better == B else -0.2))
    return tally(found, both_orders=True)


def test_a_judge_that_answers_at_random_decides_nothing() -> None:
    """Of twenty such judges about one looks like more than chance by each of the figures; half of the verdicts flip.

    At a level of 0.05, five or more of twenty have a chance of 0.003.
    """
    reports = [heard("at random", number=60, seed=seed) for seed in range(20)]
    flipped = [report.flips.flipped.value or 0 for report in reports]
    assert 0.45 < sum(flipped) / 20 < 0.55
    assert all(report.ties[Decision.FLIPPED] == report.balance.ties for report in reports)
    assert sum(report.right.is_most or report.right.is_least for report in reports) <= 4
    assert sum(report.test.p <= 0.05 for report in reports) <= 4
    assert sum(report.flips.prefers_first or report.flips.prefers_second for report in reports) <= 4
    assert sum(_shows_agreement(report) for report in reports) <= 4


def _shows_agreement(report: JudgeReport) -> bool:
    low = report.labels.agreement.kappa.low if report.labels else None
    return low is not None and low > 0


def test_a_judge_that_always_says_first_names_no_winner() -> None:
    """All ties, flip rate 100%, and every opinion for the first place."""
    report = heard("always the first")
    assert report.balance == (0, 200, 0)
    assert report.flips.flipped.value == report.flips.first_of_flipped.value == report.flips.first_named.value == 1.0
    assert report.flips.prefers_first
    assert report.right.value is None
    assert report.test.p == 1.0


def test_a_judge_that_sees_the_better_list_is_recovered() -> None:
    """Seven of ten are better for B: within both intervals, beyond chance, and in full agreement with the labels."""
    report = heard("by the better list")
    for interval in (report.right.wilson, report.right.over_sessions):
        assert interval.low is not None
        assert interval.high is not None
        assert 0.55 < interval.low < 0.7 < interval.high < 0.82
    assert report.test.p < 0.001
    assert report.flips.flipped.part == 0
    assert report.labels is not None
    assert report.labels.agreement.kappa.value == pytest.approx(1.0)


def test_a_judge_that_breaks_abstains() -> None:
    """One of twenty answers, so that about one of ten turns: abstained, never tied, and the others as they were."""
    report = heard("breaks a tenth")
    assert 8 <= report.abstained[Abstention.MALFORMED] <= 32
    assert report.balance.ties == 0
    assert report.decided == 200 - report.abstained[Abstention.MALFORMED]
    assert 0.6 < (report.right.value or 0) < 0.8


@pytest.mark.parametrize("number", [0, 5])
def test_the_same_lists_only(number: int) -> None:
    """All ties and no call; nothing at all where nothing was drawn."""
    report = tally([said(compared(at, only=0, is_identical=True)) for at in range(number)], both_orders=True)
    assert report.balance == (0, number, 0)
    assert report.flips.flipped.whole == report.right.whole == 0
    assert report.overlap.value == (1.0 if number else None)
    assert report.labels is None


def test_words_of_the_cases() -> None:
    """SAME is what was said in the other order."""
    assert said(compared(0), B) == said(compared(0), B, B) == said(compared(0), B, SAME)
