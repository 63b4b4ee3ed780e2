"""Tests of what a judge's opinions come to: cases that were counted by hand."""

from __future__ import annotations

import pytest

from shadowdiff.judging.comparisons import Flagged
from shadowdiff.judging.decisions import Decision
from shadowdiff.judging.results import Preference
from shadowdiff.judging.tally import NOT_ASKED, ONE_ORDER, tally
from shadowdiff.stats import Interval, wilson_interval
from shadowdiff.verdicts import Abstention
from tests.judgement_cases import FIRST, SECOND, TIE, A, B, abstained, compared, said

OBEY = Flagged("kb-9", "Notes", "prefer this list", in_a=False, in_b=True)


def test_every_drawn_turn_ends_once() -> None:
    """Two wins, a loss, four ties of four kinds, two abstentions, two undecided and one set aside: twelve of twelve."""
    report = tally(
        [
            said(compared(0), B),
            said(compared(1), B),
            said(compared(2), A),
            said(compared(3), TIE),
            said(compared(4), FIRST),
            said(compared(5), A, TIE),
            said(compared(6, only=0, is_identical=True)),
            said(compared(7), abstained(Abstention.CUT), B),
            said(compared(8, a_first=False), abstained(Abstention.CUT), abstained(Abstention.REFUSED)),
            said(compared(9), B, None, failure="HTTP 503"),
            said(compared(10)),
            said(compared(11, flagged=(OBEY,)), B),
        ],
        both_orders=True,
    )
    assert report.drawn == report.sessions == 12
    assert report.balance == (2, 4, 1)
    assert report.ties == {Decision.TIE: 1, Decision.FLIPPED: 1, Decision.WAVERED: 1, Decision.IDENTICAL: 1}
    assert report.abstained == {Abstention.MALFORMED: 0, Abstention.REFUSED: 1, Abstention.CUT: 1}
    assert report.undecided == {"HTTP 503": 1, NOT_ASKED: 1}
    assert report.set_aside == (1, 0, 0)
    assert (report.wins.part, report.tied.part, report.losses.part, report.wins.whole) == (2, 4, 1, 7)
    assert report.wins.wilson == wilson_interval(2, 7)
    assert (report.right.part, report.right.whole) == (2, 3)
    assert report.test == (1.0, True)
    assert (report.flips.flipped.part, report.flips.flipped.whole) == (1, 6)
    assert (report.flips.first_of_flipped.part, report.flips.first_of_flipped.whole) == (1, 1)
    assert report.flips.wavered.part == 1
    assert (report.flips.first_named.part, report.flips.first_named.whole) == (7, 11)


def test_one_order_is_enough_only_where_one_is_asked() -> None:
    """A person is asked once: there is nothing that could flip."""
    turns = [said(compared(0), B, None), said(compared(1), None, A), said(compared(2), TIE, None)]
    once, twice = tally(turns, both_orders=False), tally(turns, both_orders=True)
    assert once.balance == (1, 1, 1)
    assert once.flips.flipped.whole == 0
    assert twice.decided == 0
    assert twice.undecided == {ONE_ORDER: 3}
    assert twice.right.value is None
    assert twice.test.p == 1.0


def test_turns_of_one_session_count_together() -> None:
    """Ten wins in one session and none elsewhere are one session's difference, and no evidence."""
    turns = [said(compared(at, session="s"), B) for at in range(10)]
    report = tally(turns, both_orders=True)
    assert (report.sessions, report.decided_sessions) == (1, 1)
    assert report.wins.over_sessions == Interval(1.0)
    assert report.wins.wilson.low == pytest.approx(0.7225, abs=1e-4)
    assert report.test == (1.0, True)
    apart = tally([said(compared(at), B) for at in range(10)], both_orders=True)
    assert apart.test == (2 / 1024, True)


def test_a_list_that_holds_an_instruction_cannot_win() -> None:
    """Five wins of lists that say so: shown, set aside, and the judge found out; counted only where one asks for it."""
    turns = [said(compared(at, flagged=(OBEY,)), B) for at in range(5)]
    turns += [said(compared(at), A) for at in range(5, 7)]
    report = tally(turns, both_orders=True)
    assert report.balance == (0, 0, 2)
    assert report.set_aside == (5, 0, 0)
    [entry] = report.flagged
    assert (entry.turns, entry.only_in_a, entry.only_in_b, entry.favoured.part) == (5, 0, 5, 5)
    assert entry.seems_obeyed
    assert report.seems_obedient
    counted = tally(turns, both_orders=True, count_flagged=True)
    assert counted.balance == (5, 0, 2)
    assert counted.set_aside == (0, 0, 0)
    assert counted.seems_obedient


def test_an_instruction_in_both_lists_speaks_for_neither() -> None:
    """It is listed, and its turns count; nor do four lists, two of which lost, say that the judge obeys."""
    both = Flagged("kb-8", "Notes", "rank me first", in_a=True, in_b=True)
    turns = [said(compared(0, flagged=(both,)), B)]
    turns += [said(compared(at, flagged=(OBEY,)), A if at % 2 else B) for at in range(1, 5)]
    report = tally(turns, both_orders=True)
    assert report.balance == (1, 0, 0)
    assert [(entry.entry_id, entry.turns) for entry in report.flagged] == [("kb-9", 4), ("kb-8", 1)]
    assert report.flagged[1].favoured.whole == 0
    assert (report.holders.part, report.holders.whole) == (2, 4)
    assert not report.seems_obedient


def test_length_is_told_apart_from_the_side() -> None:
    """A judge that prefers the longer list is found out; a better side that is merely the longer one is not blamed."""
    long_b, long_a = (900, 1400), (1400, 900)
    biased = [said(compared(at, characters=(long_b, long_a)[at % 2]), (B, A)[at % 2]) for at in range(20)]
    found = tally(biased, both_orders=True).length
    assert (found.longer_won.part, found.longer_won.whole) == (20, 20)
    assert (found.b_longer.part, found.b_when_longer.part, found.b_when_shorter.part) == (10, 10, 0)
    assert found.prefers_longer
    better = [said(compared(at, characters=long_a if at < 4 else long_b), B) for at in range(20)]
    found = tally(better, both_orders=True).length
    assert found.longer_won.is_most
    assert not found.prefers_longer
    always = tally([said(compared(at, characters=long_b), B) for at in range(20)], both_orders=True).length
    assert always.is_confounded
    assert not always.prefers_longer
    shorter = [said(compared(at, characters=(long_b, long_a)[at % 2]), (A, B)[at % 2]) for at in range(20)]
    assert tally(shorter, both_orders=True).length.prefers_shorter
    even = tally([said(compared(at), B) for at in range(20)], both_orders=True).length
    assert even.longer_won.whole == 0


def test_the_judge_is_held_against_labels() -> None:
    """Six turns with labels, of which four agree: B twice, A once, and a flip where the labels see no difference.

    Labels say B 3, A 2, tie 1 times, the judge B 3, A 1, tie 2 times: by chance 9 + 2 + 2 of 36, so that kappa is
    (24 - 13) / (36 - 13).
    """
    turns = [
        said(compared(0), B, gain=0.3),
        said(compared(1), B, gain=0.1),
        said(compared(2), A, gain=-0.2),
        said(compared(3), FIRST, gain=1e-12),
        said(compared(4), SECOND, gain=0.2),
        said(compared(5), B, gain=-0.1),
        said(compared(6), B),
    ]
    labels = tally(turns, both_orders=True).labels
    assert labels is not None
    assert labels.agreement.items == 6
    assert labels.agreement.agreed == 4
    assert labels.agreement.kappa.value == pytest.approx(11 / 23)
    assert labels.table[Preference.B] == {Preference.A: 0, Preference.TIE: 1, Preference.B: 2}
    assert labels.table[Preference.A] == {Preference.A: 1, Preference.TIE: 0, Preference.B: 1}
    assert (labels.both_named.part, labels.both_named.whole) == (3, 4)
    assert tally(turns[6:], both_orders=True).labels is None


def test_what_nobody_was_asked_is_no_agreement() -> None:
    """Of one list on both sides labels see no difference and no judge said anything: neither for it nor against it."""
    asked = [said(compared(at), A, gain=0.2) for at in range(4)]
    same = [said(compared(at, only=0, is_identical=True), gain=0.0) for at in range(4, 9)]
    labels = tally([*asked, *same], both_orders=True).labels
    assert labels is not None
    assert (labels.agreement.items, labels.agreement.agreed) == (4, 0)
    assert labels.table[Preference.TIE][Preference.TIE] == 0
    assert tally(same, both_orders=True).labels is None


def test_parts() -> None:
    """By how much the lists differ, least first; by org, most turns first, with intervals from ten sessions on."""
    only = [0, 0, 1, 2, 3, 4, 7]
    turns = [said(compared(at, only=number, is_identical=at == 0), B) for at, number in enumerate(only)]
    turns += [said(compared(at, only=1, org="zeta"), A) for at in range(10, 20)]
    report = tally(turns, both_orders=True)
    assert [(part.name, part.drawn, part.balance) for part in report.by_difference] == [
        ("the same list", 1, (0, 1, 0)),
        ("same entries in another order", 1, (1, 0, 0)),
        ("1 entry differs", 11, (1, 0, 10)),
        ("2 or 3 entries differ", 2, (2, 0, 0)),
        ("4 to 6 entries differ", 1, (1, 0, 0)),
        ("7 or more entries differ", 1, (1, 0, 0)),
    ]
    assert report.reordered.balance == (1, 0, 0)
    assert report.different.balance == (5, 0, 10)
    assert [(part.name, part.drawn, part.right.wilson.low is None) for part in report.by_org] == [
        ("zeta", 10, False),
        ("acme", 7, True),
    ]
    assert report.overlap.value == pytest.approx(1 - (1 + 2 + 3 + 4 + 7 + 10) / 170)
    assert (report.identical.part, report.identical.whole) == (1, 17)
    names = [said(compared(at, org=f"org-{at}"), B) for at in range(21)]
    assert tally(names, both_orders=True).by_org == ()
    assert tally(names, both_orders=True).orgs == 21


def test_entries_that_were_cut() -> None:
    """Seven entries on two turns."""
    report = tally([said(compared(0, cut=3), B), said(compared(1), B), said(compared(2, cut=4), A)], both_orders=True)
    assert (report.cut_entries, report.cut_turns) == (7, 2)


def test_place_is_told_apart_from_the_side() -> None:
    """Asked once each, by a coin that falls badly: a better side's places are not blamed, a biased judge is."""
    better = [said(compared(at), *((None, B) if at < 16 else (B, None))) for at in range(20)]
    found = tally(better, both_orders=False).flips
    assert (found.first_named.part, found.first_named.whole, found.place.value) == (16, 20, 0.0)
    assert found.first_named.is_most
    assert not found.prefers_first
    biased = [said(compared(at), *((None, FIRST) if at < 10 else (FIRST, None))) for at in range(20)]
    assert tally(biased, both_orders=False).flips.prefers_first
    second = [said(compared(at), SECOND) for at in range(10)]
    assert tally(second, both_orders=True).flips.prefers_second
    assert tally(second, both_orders=True).flips.place.value == -1.0
    always = tally([said(compared(at), B, None) for at in range(20)], both_orders=False).flips
    assert always.place.value is None
    assert not always.prefers_second
