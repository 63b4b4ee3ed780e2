"""What `shadowdiff label` shows and tells, as files to be read."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from shadowdiff.labelling.drawing import (
    Asked,
    Said,
    asked_page,
    end_page,
    foot_lines,
    progress_line,
    scrolled_keys,
    whole_page,
)
from shadowdiff.labelling.grades import GRADED, SCALES
from shadowdiff.labelling.pooled import Choice, turns_to_label
from shadowdiff.labelling.report import labelling_report
from shadowdiff.labelling.sitting import Place, Sitting
from shadowdiff.render.labelling import labelling_json, labelling_lines
from shadowdiff.render.lines import Line, plain
from shadowdiff.render.text import UNSAFE, cells
from tests.evaluation_cases import labelled_run
from tests.golden.test_render_goldens import WIDTHS, check
from tests.labelling_cases import BOB, DEPTH, asked_entries, reported


@pytest.mark.parametrize("width", WIDTHS)
def test_how_far_labels_and_agreement_are(width: int) -> None:
    """Two people and a file, one of them with a name that would act on a terminal; no line too wide."""
    report, run, texts = reported()
    lines = [plain(line) for line in labelling_lines(report, run, DEPTH, texts, width)]
    assert max(map(cells, lines)) <= width
    assert not any(UNSAFE.search(line) for line in lines)
    if width in (80, 100):
        check(f"labelling-{width}.txt", "\n".join(lines) + "\n")


def test_for_programs() -> None:
    """The document is ASCII."""
    report, run, _ = reported()
    text = labelling_json(report, run)
    assert text.isascii()
    assert json.loads(text)["labelled"]["entries"] == report.by_anyone.entries
    check("labelling.json", text)


def test_before_the_first_label() -> None:
    """Nothing is said of agreement."""
    run, sessions, _ = labelled_run()
    report = labelling_report(turns_to_label(run.sides, sessions, Choice(DEPTH)), [])
    lines = [plain(line) for line in labelling_lines(report, run, DEPTH, {}, 80)]
    assert lines[-1] == "  nothing is labelled yet"
    assert len(lines) == 3


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (40, 12)])
def test_the_screen(width: int, height: int) -> None:
    """Each entry cut, then whole; what stands there otherwise. No page is too wide or too high, or names a side."""
    pages = list(_pages(width, height))
    for page in pages[:-2]:
        assert len(page) == height
    lines = [plain(line) for page in pages for line in [*page, []]]
    assert max(map(cells, lines)) <= width
    assert not any(UNSAFE.search(line) for line in lines)
    assert len(pages[-2]) <= height
    if width > 40:
        check(f"label-{width}x{height}.txt", "\n".join(line.rstrip() for line in lines) + "\n")


def _pages(width: int, height: int) -> list[list[Line]]:
    run, sessions, _ = labelled_run()
    turns = turns_to_label(run.sides, sessions, Choice(DEPTH))
    sitting = Sitting(turns, {turns[0].keys[0]: 2})
    head = progress_line(sitting, Place(0, 1), BOB, width)
    feet = [
        foot_lines(GRADED, None, Said(), width),
        foot_lines(SCALES[1], 1, Said("nothing was labelled before this entry"), width),
        foot_lines(SCALES[2], None, Said("2 is not stored: nothing listens there. A grade: try again", True), width),
        foot_lines(GRADED, 3, Said(), width),
    ]
    pages: list[list[Line]] = []
    for asked, foot in zip(asked_entries(), feet, strict=True):
        pages += [asked_page(asked, head, foot, (width, height)), whole_page(asked, head, foot, (width, height), 9)[0]]
    sitting.skip()
    return [*pages, scrolled_keys(GRADED, 0, (width, height))[0], end_page(sitting, Said(), width)]


@pytest.mark.parametrize(("width", "height"), [(40, 12), (60, 16), (80, 24)])
def test_the_entry_is_seen_on_a_low_screen(width: int, height: int) -> None:
    """However long the query and the conversation are: its title, and something of its text."""
    run, sessions, _ = labelled_run()
    sitting = Sitting(turns_to_label(run.sides, sessions, Choice(DEPTH)), {})
    head, foot = progress_line(sitting, Place(0, 1), BOB, width), foot_lines(GRADED, None, Said(), width)
    for asked in asked_entries():
        turn = replace(asked.turn, query="which of them " * 90, search_query="all of them " * 90, missing_text=None)
        entry = replace(asked.entry, title="Here it is", body="and what it says " * 90, missing_text=None)
        page = asked_page(Asked(asked.earlier, turn, entry), head, foot, (width, height))
        lines = [plain(line) for line in page]
        assert len(lines) == height
        assert "Here it is" in lines
        assert any(line.startswith("and what it says") for line in lines)
        assert any(line.startswith("“which of them") for line in lines)


def test_all_keys_can_be_read_on_a_low_screen() -> None:
    """By scrolling; the last line says how."""
    seen: list[str] = []
    for first in range(40):
        page, first_shown = scrolled_keys(GRADED, first, (40, 12))
        assert len(page) == 12
        assert "↑↓ scroll" in plain(page[-1])
        seen += [plain(page[0])] if first_shown == first else [plain(line) for line in page[:-1]]
    assert all(any(line.strip().startswith(f"{key}   ") for line in seen) for key in "sbm?q")
