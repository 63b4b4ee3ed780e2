"""The webhook's message, as a golden that a person can read, and of every kind of night."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from shadowdiff.nights import (
    ChangedSession,
    GateOutcome,
    History,
    Night,
    NightStatus,
    Outlier,
    RunChanges,
    Surroundings,
)
from shadowdiff.render.message import webhook_message
from shadowdiff.runs import RunStatus
from tests.golden.test_render_goldens import check
from tests.render_cases import HOSTILE, hard_run

NIGHT = Night(
    "nightly",
    "2026-11-20",
    datetime(2026, 11, 19, 3, tzinfo=UTC),
    datetime(2026, 11, 20, 3, tzinfo=UTC),
    "2026-11-20-0300-k7",
    NightStatus.DONE,
)
HELD = GateOutcome("failed_share <= 0.2", "failed_share", 0.1, None, 0.2, passed=True)
CROSSED = GateOutcome("only_in_a_per_session.B <= 3", "only_in_a_per_session.B", 3.2, 4.125, 3.0, passed=False)
VALUELESS = GateOutcome(
    "p95_seconds.B <= 0.4", "p95_seconds.B", None, None, 0.4, passed=False, note="nothing was timed"
)


def surroundings(*gates: GateOutcome) -> Surroundings:
    """A night that is unlike the nights before, and unlike the blessed run."""
    here = Outlier(NIGHT.name, "overlap.B", 0.51, 0.7012, 0.83, 14)
    changed = ChangedSession("s-secret", "acme", "B", "same", "different")
    changes = RunChanges("2026-11-01-0300-aa", NIGHT.run_id or "", 41, (changed, changed), (), (changed,))
    return Surroundings(gates, History("nightly", (), (replace(here, night="2026-11-19"), here), "rule"), changes)


def written(message: dict[str, object]) -> str:
    """All that a reader of any kind is shown."""
    blocks: Any = message["blocks"]
    texts = [block["text"]["text"] if "text" in block else block["elements"][0]["text"] for block in blocks]
    return "\n".join([str(message["text"]), *texts])


def test_the_message_of_a_bad_night() -> None:
    """Crossed gates first, then what is unlike, failed and changed, then the way to the report."""
    run, _ = hard_run()
    url = "https://reports.example.com/{night}/report.html?a=1&b=<2>"
    message = webhook_message(run, NIGHT, surroundings(HELD, CROSSED, VALUELESS), url.replace("<2>", "2"))
    check("webhook-bad-night.json", json.dumps(message, indent=1, ensure_ascii=False) + "\n")


def test_nothing_of_a_session_is_in_it() -> None:
    """Of hostile sessions and reasons of failures, not a word; ids of sessions neither."""
    run, outcomes = hard_run(others=2)
    said = written(webhook_message(run, NIGHT, surroundings(CROSSED), None))
    queries = [turn.replayed.turn.query for outcome in outcomes for turn in outcome.turns]
    sessions = [outcome.session.session_id for outcome in outcomes]
    assert not [
        text for text in [*queries, *sessions, *HOSTILE, "s-secret", "HTTP 503", "NaN"] if text and text in said
    ]


def test_nights_of_every_kind() -> None:
    """Quiet, empty, cut short, without gates; each says so in its heading, which is the notification too."""
    run, _ = hard_run()
    quiet, nothing = Surroundings((HELD, HELD)), Surroundings()
    window = "between 2026-11-19 03:00 and 2026-11-20 03:00 UTC"
    headings = [
        webhook_message(run, NIGHT, quiet, None),
        webhook_message(run, replace(NIGHT, gates=(CROSSED,)), nothing, None),
        webhook_message(run, NIGHT, nothing, None),
        webhook_message(None, NIGHT, nothing, None),
    ]
    assert [str(message["text"]).partition(". ")[0].partition(": A")[0] for message in headings] == [
        "nightly 2026-11-20: 2 gates held",
        "nightly 2026-11-20: 1 of 1 gate crossed",
        "nightly 2026-11-20: no gates",
        f"nightly 2026-11-20: nothing to replay: No session to replay {window}.",
    ]
    cut = webhook_message(replace(run, status=RunStatus.INTERRUPTED), NIGHT, nothing, None)
    assert ": Not finished. A and B surfaced" in str(cut["text"])
    without = webhook_message(replace(run, summary=None), NIGHT, Surroundings(not_compared="other pools"), None)
    assert "The run has no summary" in written(without)
    assert "Not compared with the blessed run: other pools" in written(without)


def test_a_night_that_shares_no_session_with_the_blessed_run_tells_their_figures() -> None:
    """Nothing changed would be wrong: nothing was compared one by one."""
    run, _ = hard_run(others=2)
    figures = (("changed_share.B", 0.311, 0.452), ("overlap.B", 0.83, 0.74), ("overlap.C", None, 0.5))
    changes = RunChanges("the-blessed", run.run_id, 0, (), (), (), (*figures, ("failed_share", 0.0, 0.1)))
    said = written(webhook_message(run, NIGHT, Surroundings(compared_with=changes), None))
    assert "`the-blessed`, no session in both: B: changed 31.1% → 45.2% · B: overlap 0.83 → 0.74" in said
    assert "C: overlap – → 0.50" in said
    assert "nothing changed" not in said
