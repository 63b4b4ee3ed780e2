"""CSV: rows that say what the diff says, and cells that no spreadsheet computes."""

from __future__ import annotations

import csv
import io

import pytest

from shadowdiff.records import SessionOutcome
from shadowdiff.render.spreadsheet import COLUMNS, CsvRenderer, cell
from shadowdiff.render.text import UNSAFE
from shadowdiff.runs import Run
from tests.render_cases import hard_run


def rows(run: Run, outcomes: list[SessionOutcome], renderer: CsvRenderer) -> list[dict[str, str]]:
    """What a reader of CSV finds."""
    out = io.StringIO()
    renderer.render(run, outcomes, out)
    return list(csv.DictReader(io.StringIO(out.getvalue())))


def test_rows_say_what_the_diff_says() -> None:
    """Surfaced rows that lack A are only in B, and the other way round; failures are rows of their own."""
    run, outcomes = hard_run(others=2)
    found = rows(run, outcomes, CsvRenderer())
    assert tuple(found[0]) == COLUMNS
    for outcome in outcomes:
        for turn in outcome.turns:
            mine = [row for row in found if row["turn_id"] == cell(turn.replayed.turn.turn_id)]
            for label, diff in turn.diffs.items():
                side = [row for row in mine if row["side"] == label]
                if label not in turn.replayed.rankings:
                    assert [(row["entry_id"], bool(row["failure"])) for row in side] == [("", True)]
                if diff is None:
                    assert {row["outcome"] for row in side} == {"failed"}
                    continue
                only_b = [row["entry_id"] for row in side if row["not_surfaced_by"] == "A"]
                only_a = [row["entry_id"] for row in mine if label in row["not_surfaced_by"].split()]
                assert (only_a, only_b) == (list(diff.only_in_a), list(diff.only_in_b))
                assert [row["entry_id"] for row in side] == list(diff.surfaced_b)


def test_whole_rankings_keep_the_unsurfaced_and_the_unranked() -> None:
    """Every entry of the pool once per side, with its rank, or none where the side does not rank it."""
    run, outcomes = hard_run()
    found = rows(run, outcomes, CsvRenderer(full_rankings=True))
    for outcome in outcomes:
        for turn in outcome.turns:
            for label, ranking in turn.replayed.rankings.items():
                name = cell(turn.replayed.turn.turn_id)
                side = [row for row in found if (row["turn_id"], row["side"]) == (name, label)]
                assert [row["entry_id"] for row in side] == list(ranking.entry_ids)
                assert [float(row["score"]) if row["score"] else None for row in side] == list(ranking.scores)
    assert {row["surfaced"] for row in found} >= {"true", "false"}


@pytest.mark.parametrize("start", "=+-@＝＋－＠")
def test_no_cell_is_a_formula(start: str) -> None:
    """An apostrophe before it makes it text, also where white space stood first."""
    assert cell(f"{start}HYPERLINK(1)") == cell(f" \t\n{start}HYPERLINK(1)") == f"'{start}HYPERLINK(1)"
    assert cell(f"a{start}b") == f"a{start}b"


def test_no_cell_acts_on_a_terminal() -> None:
    """Control characters and line breaks are made visible; one row is one line."""
    run, outcomes = hard_run(others=2)
    out = io.StringIO()
    CsvRenderer(full_rankings=True).render(run, outcomes, out)
    assert not UNSAFE.search(out.getvalue().replace("\n", ""))
    assert len(out.getvalue().splitlines()) == len(rows(run, outcomes, CsvRenderer(full_rankings=True))) + 1


def test_redaction_reaches_texts_and_leaves_ids() -> None:
    """Query, title and reason go through it; ids and figures do not."""
    run, outcomes = hard_run(others=2)
    plain = rows(run, outcomes, CsvRenderer())
    hidden = rows(run, outcomes, CsvRenderer(redact=lambda text: "[gone]" if text else ""))
    texts = {"query", "title", "failure"}
    assert all(row[name] in {"", "[gone]"} for row in hidden for name in texts)
    kept = set(COLUMNS) - texts
    assert [{name: row[name] for name in kept} for row in plain] == [{n: row[n] for n in kept} for row in hidden]
