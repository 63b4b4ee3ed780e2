"""What gates look like, and a run as Markdown and as JUnit XML, as files to be read."""

from __future__ import annotations

import pytest

from shadowdiff.nights import Surroundings
from shadowdiff.render.formats import renderer_for
from shadowdiff.render.gates import figure_lines, gate_lines
from shadowdiff.render.lines import plain
from shadowdiff.render.text import cells
from tests.cost_cases import refused_run
from tests.gate_cases import gates, surroundings
from tests.golden.test_render_goldens import WIDTHS, check, rendered
from tests.render_cases import hard_run


@pytest.mark.parametrize("width", WIDTHS)
def test_each_rule_stands_with_the_numbers_that_decided(width: int) -> None:
    """Outcome, rule, value, bound and margin; below each other where they do not fit; no line too wide."""
    run, _ = hard_run(others=2)
    lines = [plain(line) for line in gate_lines(gates(run), width)]
    assert max(map(cells, lines)) <= width
    check(f"gates-{width}.txt", "\n".join(lines) + "\n")


def test_the_terminal_ends_with_the_gates() -> None:
    """After the sentence that the run comes down to, as that is where eyes are when the command ends."""
    run, outcomes = hard_run()
    text = rendered(renderer_for("terminal", width=100, surroundings=Surroundings(gates(run))), run, outcomes)
    without = rendered(renderer_for("terminal", width=100), run, outcomes)
    assert text.startswith(without)
    assert text[len(without) :].lstrip().startswith("Gate crossed: ")


@pytest.mark.parametrize("width", WIDTHS)
def test_every_figure_is_listed(width: int) -> None:
    """The table of `--gate-figures`."""
    lines = [plain(line) for line in figure_lines(width)]
    assert max(map(cells, lines)) <= width
    check(f"gate-figures-{width}.txt", "\n".join(lines) + "\n")


@pytest.mark.parametrize("case", ["pair", "three-sides"])
def test_markdown_is_as_the_golden_says(case: str) -> None:
    """A pair with all that can stand beside it; three sides in one table, with the noise floor."""
    several = case == "three-sides"
    run, outcomes = hard_run(others=2 if several else 1, noise=several)
    beside = surroundings(run)
    check(f"{case}.md", rendered(renderer_for("markdown", surroundings=beside), run, outcomes))


def test_junit_is_as_the_golden_says() -> None:
    """A side that was refused on every turn, and rules that it crosses."""
    run, outcomes = refused_run()
    beside = Surroundings(gates(run, ("failed_turns.B <= 1", "cost_usd <= 5", "sessions >= 10")))
    check("refused.xml", rendered(renderer_for("junit", surroundings=beside), run, outcomes))
