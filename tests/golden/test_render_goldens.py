"""What a run looks like, as files to be read. `SHADOWDIFF_UPDATE_GOLDENS=1 pytest tests/golden` rewrites them."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from shadowdiff.protocols import Renderer
from shadowdiff.records import SessionOutcome
from shadowdiff.render.forecast import forecast_json, forecast_lines
from shadowdiff.render.formats import renderer_for
from shadowdiff.render.lines import painter
from shadowdiff.render.text import cells
from shadowdiff.runs import Run
from tests.cost_cases import cached_run, costly_run, refused_run, some_forecast
from tests.render_cases import hard_run, served_run

HERE = Path(__file__).parent
SGR = re.compile(r"\x1b\[([0-9;]*)m")
"""What switches a style of the terminal on, and all off."""
WIDTHS = (60, 80, 100, 160)
COSTLY: dict[str, Callable[[], tuple[Run, list[SessionOutcome]]]] = {
    "pair": lambda: costly_run(others=1),
    "four-sides": lambda: costly_run(others=3),
    "refused": refused_run,
    "cached": cached_run,
}
STYLES = {"0": "[/]", "1": "[bold]", "2": "[dim]", "31": "[red]", "32": "[green]", "36": "[cyan]", "1;31": "[bold red]"}


def rendered(renderer: Renderer, run: Run, outcomes: list[SessionOutcome]) -> str:
    """All that the renderer writes."""
    out = io.StringIO()
    renderer.render(run, outcomes, out)
    return out.getvalue()


def spelled(match: re.Match[str]) -> str:
    """A colour as a word, so that a golden can be read."""
    return STYLES[match.group(1)]


def check(name: str, text: str) -> None:
    """Compare with the golden file byte for byte, or rewrite it when asked to."""
    path = HERE / name
    if os.environ.get("SHADOWDIFF_UPDATE_GOLDENS"):
        path.write_bytes(text.encode())
    assert path.read_bytes().decode() == text


@pytest.mark.parametrize("width", WIDTHS)
def test_a_pair_is_drawn_as_the_golden_says(width: int) -> None:
    """Plain text: no line is too wide, ends in a space, or holds a control character."""
    text = rendered(renderer_for("terminal", width=width), *hard_run())
    lines = text.splitlines()
    assert max(cells(line) for line in lines) <= width
    assert all(line == line.rstrip(" ") for line in lines)
    assert "\x1b" not in text
    check(f"pair-{width}.txt", text)


@pytest.mark.parametrize("width", WIDTHS)
def test_colour_only_repeats_what_the_signs_say(width: int) -> None:
    """Without its colours the coloured text is the plain one."""
    coloured = rendered(renderer_for("terminal", width=width, color=True), *hard_run())
    assert SGR.sub("", coloured) == rendered(renderer_for("terminal", width=width), *hard_run())
    check(f"pair-{width}-colour.txt", SGR.sub(spelled, coloured))


@pytest.mark.parametrize("width", WIDTHS)
def test_three_sides_stand_side_by_side_or_in_pairs(width: int) -> None:
    """With the noise floor beside every count."""
    text = rendered(renderer_for("terminal", width=width), *hard_run(others=2, noise=True))
    assert max(cells(line) for line in text.splitlines()) <= width
    check(f"three-sides-{width}.txt", text)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("case", ["doubtful", "reproduces"])
def test_fidelity_is_a_block_of_its_own(case: str, width: int) -> None:
    """In the summary, apart from what the sides differ in, with the rule that its verdict follows."""
    run, _ = served_run(doubtful=case == "doubtful")
    text = rendered(renderer_for("terminal", width=width), run, [])
    assert max(cells(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text
    check(f"fidelity-{case}-{width}.txt", text)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("case", list(COSTLY))
def test_latency_and_cost_stand_in_one_table(case: str, width: int) -> None:
    """Local and remote sides side by side, with what each figure is; bars whose words suffice; no line too wide."""
    run, _ = COSTLY[case]()
    text = rendered(renderer_for("terminal", width=width), run, [])
    assert max(cells(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text
    check(f"costs-{case}-{width}.txt", text)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_dry_run_says_what_would_be_asked(width: int) -> None:
    """Four sides, one of each kind."""
    paint = painter(color=False)
    text = "".join(f"{paint(line)}\n" for line in forecast_lines(some_forecast(), width, max_usd=0.1))
    assert max(cells(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text
    check(f"forecast-{width}.txt", text)


def test_a_dry_run_in_json_is_as_the_golden_says() -> None:
    """Field by field."""
    check("forecast.json", forecast_json(some_forecast(), max_usd=0.1))


def test_costs_in_json_are_as_the_golden_says() -> None:
    """Field by field."""
    run, _ = costly_run(others=3)
    check("costs.json", rendered(renderer_for("json"), run, []))


@pytest.mark.parametrize("name", ["json", "jsonl", "csv"])
def test_structured_output_is_as_the_golden_says(name: str) -> None:
    """Field by field, for two other sides and with the noise floor."""
    check(f"three-sides.{name}", rendered(renderer_for(name), *hard_run(others=2, noise=True)))
