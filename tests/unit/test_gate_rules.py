"""Rules as people write them: what is understood, and what an error points at."""

from __future__ import annotations

import pytest

from shadowdiff.errors import ConfigError
from shadowdiff.gates.figures import FIGURES, figure_named
from shadowdiff.gates.reader import Comparison
from shadowdiff.gates.rules import check_sides, parse_rule, parse_rules

READ = [
    ("only_in_a_per_session <= 3", "mean_only_in_a_per_session", None, Comparison.AT_MOST, 3.0),
    ("  failed_share<=2%  ", "failed_share", None, Comparison.AT_MOST, 0.02),
    ("p95_seconds.B < .4", "latency_p95_seconds", "B", Comparison.BELOW, 0.4),
    ("mean_overlap.b >= 0.7", "mean_overlap", "B", Comparison.AT_LEAST, 0.7),
    ("rbo . C > 5e-1", "mean_rbo", "C", Comparison.ABOVE, 0.5),
    ("overlap.noise >= 99%", "mean_overlap", "noise", Comparison.AT_LEAST, 0.99),
    ("distinct_change_percent >= -10", "distinct_change_percent", None, Comparison.AT_LEAST, -10.0),
    ("distinct_change_percent <= 10%", "distinct_change_percent", None, Comparison.AT_MOST, 10.0),
    ("overlap_below_noise.B <= 5%", "overlap_below_noise", "B", Comparison.AT_MOST, 0.05),
    ("cost_usd <= +5.", "cost_usd", None, Comparison.AT_MOST, 5.0),
]

REFUSED = [
    ("", "expected the name of a figure (at 0)"),
    ("<= 3", "expected the name of a figure, found '<=' (at 1)"),
    ("only_in_a <=", "expected a number after '<=' (at 12)"),
    ("only_in_a", "expected <=, <, >= or > after 'only_in_a' (at 9)"),
    ("only_in_a == 3", "expected <=, <, >= or > after 'only_in_a', found '==' (at 11)"),
    ("only_in_a ≤ 3", "found '≤' (at 11)"),
    ("only_in_a <= many", "expected a number after '<=', found 'many' (at 14)"),
    ("only_in_a <= nan", "expected a number after '<=', found 'nan' (at 14)"),
    ("only_in_a <= 3 entries", "expected nothing more after '3', found 'entries' (at 16)"),
    ("only_in_a <= 1,000", "expected nothing more after '1', found ',000' (at 15)"),
    ("only_in_a. <= 3", "expected a side such as B after '.', found '<=' (at 12)"),
    ("only_in_a.minilm <= 3", "expected a side such as B after '.', found 'minilm' (at 11)"),
    ("mean_overlp.B >= 0.7", "no figure 'mean_overlp'; did you mean 'mean_overlap'? (at 1)"),
    ("quality > 1", "no figure 'quality'; list them with: shadowdiff replay --gate-figures (at 1)"),
    ("sessions >= 20%", "'%' is for shares, and sessions is none (at 15)"),
    ("failed_share <= 2", "failed_share is from 0 to 1, found '2' (at 17)"),
    ("mean_overlap >= 70", "mean_overlap is from 0 to 1, found '70' (at 17)"),
    ("p95_seconds <= -1", "latency_p95_seconds is at least 0, found '-1' (at 16)"),
    ("cost_usd <= 1e999", "cost_usd is at least 0, found '1e999' (at 13)"),
    ("__import__('os').system('true')", "no figure '__import__'"),
]

SIDES_REFUSED = [
    ("p95_seconds.D <= 1", "the run has no side D; it has A, B, C"),
    ("mean_overlap.A >= 0.7", "mean_overlap is of a side compared with A: B, C"),
    ("sessions.A >= 1", "sessions is of a side compared with A: B, C"),
    ("turns.B >= 1", "turns is a figure of the run, not of a side; leave .B out"),
    ("p95_seconds.noise <= 1", "the noise floor has no p95_seconds"),
    ("overlap_below_noise.noise <= 1", "the noise floor has no overlap_below_noise"),
]


@pytest.mark.parametrize(("text", "figure", "side", "comparison", "limit"), READ)
def test_what_a_rule_means(text: str, figure: str, side: str | None, comparison: Comparison, limit: float) -> None:
    """Figure, side, sign and limit, the limit in the figure's own unit; the text stays as written."""
    rule = parse_rule(text)
    assert (rule.figure.name, rule.side, rule.comparison) == (figure, side, comparison)
    assert rule.limit == pytest.approx(limit)
    assert rule.text == text.strip()


@pytest.mark.parametrize(("text", "problem"), REFUSED)
def test_an_error_shows_the_rule_and_points_at_the_place(text: str, problem: str) -> None:
    """In one line: where it was written, the rule, what is wrong, the place counted from 1."""
    with pytest.raises(ConfigError) as refused:
        parse_rules(["sessions >= 1", text], "--gate")
    message = str(refused.value)
    assert message.startswith(f"--gate {text.strip()!r}: ")
    assert problem in message
    assert "\n" not in message


@pytest.mark.parametrize(("text", "problem"), SIDES_REFUSED)
def test_a_side_that_the_run_or_the_figure_lacks_is_refused(text: str, problem: str) -> None:
    """Before anything is replayed: the labels suffice."""
    rules = parse_rules([text])
    with pytest.raises(ConfigError, match=r"^\[gate\] rule") as refused:
        check_sides(rules, "ABC")
    assert problem in str(refused.value)


def test_a_rule_without_a_side_is_of_the_run_or_of_every_side() -> None:
    """The run's own figure where it has one; else every side, or every one that is compared with A."""
    subjects = {text: parse_rule(f"{text} <= 1").subjects("ABC") for text in ("failed_turns", "p95_seconds", "overlap")}
    assert subjects == {"failed_turns": (None,), "p95_seconds": ("A", "B", "C"), "overlap": ("B", "C")}
    assert parse_rule("overlap.c <= 1").subjects("ABC") == ("C",)


def test_every_figure_can_be_named_and_is_of_something() -> None:
    """No name stands for two figures, short ones included, and every one has a reader."""
    names = [name for figure in FIGURES for name in (figure.name, figure.short) if name]
    assert len(names) == len(set(names))
    for figure in FIGURES:
        assert figure_named(figure.name) is figure
        assert any((figure.of_run, figure.of_pair, figure.of_side)), figure.name
        assert figure.of_pair is None or figure.of_side is None, "a side would have two figures of one name"
