"""A run as a comment on a pull request: what comes first, what is folded, what is left out."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from shadowdiff.diff import only_changed
from shadowdiff.nights import Surroundings
from shadowdiff.records import SessionOutcome
from shadowdiff.render.formats import renderer_for
from shadowdiff.render.github import MOST_CHARACTERS, length
from shadowdiff.runs import Run, RunConfig, RunStatus, Side
from tests.cost_cases import refused_run
from tests.gate_cases import gates
from tests.render_cases import COSINE, MINILM, Asked, descending, entries, hard_run, run_of, served_run, session_of

POOL = entries([f"Title {at}" for at in range(1, 21)], "kb")


def written(
    run: Run, outcomes: Sequence[SessionOutcome], surroundings: Surroundings | None = None, *, only: bool = False
) -> str:
    """The comment."""
    out = io.StringIO()
    renderer_for("markdown", only_changed=only, surroundings=surroundings).render(run, outcomes, out)
    return out.getvalue()


def moved(places: int) -> list[float]:
    """Scores under which so many of the first ten entries leave the top ten."""
    return descending([*range(1 + places, 11), *range(11, 11 + places), *range(1, 1 + places), *range(11 + places, 21)])


def differing(session_id: str, places: int) -> tuple[str, list[Asked]]:
    """A session of three turns that differ by so many entries."""
    scores = {"A": descending(range(1, 21)), "B": moved(places)}
    return session_id, [Asked(f"question {at}", POOL, scores) for at in range(3)]


def run_with(sessions: Sequence[tuple[str, list[Asked]]]) -> tuple[Run, list[SessionOutcome]]:
    """A run of these sessions, in this order."""
    return run_of([session_of(name, "acme", turns, "AB") for name, turns in sessions], (COSINE, MINILM), RunConfig())


def shown_sessions(text: str) -> list[str]:
    """Ids, in the order in which they stand."""
    return re.findall(r"<summary>session <code>(.*?)</code>", text)


def test_the_sentence_comes_first_then_the_gates() -> None:
    """What a reader of the notification's first lines must know."""
    run, outcomes = hard_run()
    lines = written(run, outcomes, Surroundings(gates(run))).splitlines()
    assert lines[0] == "**A and B surfaced different entries in 4 of 8 turns (1 turn failed).**"
    assert lines[2] == "A cosine against B minilm-v3"
    assert lines[4] == "**Gate crossed: 5 of 10 rules do not hold.**"
    assert "Gate" not in written(run, outcomes)


def test_of_sessions_that_do_not_fit_the_least_contrasting_are_left_out() -> None:
    """Those that stay keep their order; how many are missing is said, and where all of them are."""
    places = [at % 10 for at in range(200)]
    run, outcomes = run_with([differing(f"s{at}-{count}", count) for at, count in enumerate(places)])
    text = written(run, outcomes)
    shown = shown_sessions(text)
    assert 20 < len(shown) < 200
    assert length(text) < MOST_CHARACTERS
    assert [int(name[1:].partition("-")[0]) for name in shown] == sorted(
        int(name[1:].partition("-")[0]) for name in shown
    )
    kept = [int(name.rpartition("-")[2]) for name in shown]
    left_out = sorted(places, reverse=True)[len(shown) :]
    assert min(kept) >= max(left_out)
    assert f"{200 - len(shown)} sessions in which the sides differ least left out, to fit a comment" in text
    assert f"shadowdiff show {run.run_id}" in text


def test_the_same_sessions_stay_whatever_their_order() -> None:
    """By contrast, not by what came first."""
    sessions = [differing(f"s{at}", at % 10) for at in range(150)]
    counts = [
        sorted(int(name[1:]) % 10 for name in shown_sessions(written(*run_with(order))))
        for order in (sessions, sessions[::-1])
    ]
    assert counts[0] == counts[1]


def test_a_long_session_shows_its_first_turns_and_counts_the_others() -> None:
    """It displaces no other session."""
    name, turns = differing("long", 5)
    text = written(*run_with([(name, turns * 20), differing("short", 1)]))
    assert shown_sessions(text) == ["long", "short"]
    (more,) = re.findall(r"^(\d+) more turns, too long for here\.$", text, re.MULTILINE)
    assert 60 - int(more) == text.count("**turn ") - 3 > 3


def test_a_turn_too_long_to_list_keeps_its_counts() -> None:
    """Lists of hundreds of long titles are left out; what they come to is not."""
    pool = entries(["$" * 80 + str(at) for at in range(200)], "kb")
    scores = descending(range(1, 201), step=0.001)
    turn = Asked("?", pool, {"A": scores, "B": scores[::-1]})
    run, outcomes = run_of([session_of("s", "acme", [turn], "AB")], (COSINE, MINILM), RunConfig(top_k=100))
    text = written(run, outcomes)
    assert "top 100: 0 in both · 100 only in A · 100 only in B" in text
    assert "| A cosine |" not in text


def test_turns_that_are_not_shown_are_counted() -> None:
    """With --only-changed, as in the terminal."""
    run, outcomes = hard_run()
    changed = [kept for outcome in outcomes if (kept := only_changed(outcome)) is not None]
    text = written(run, changed, only=True)
    assert text.endswith("\nnot shown, as no entry differs: 4 of 9 turns · 1 of 3 sessions entirely\n")
    assert "not shown" not in written(run, outcomes)


def test_a_failed_side_says_why() -> None:
    """Beside the list of the other side; over the run where every turn failed for one reason."""
    text = written(*hard_run())
    assert "| failed: the model returned NaN for entry 'h-7'; check the export" in text
    assert "not compared: B failed" in text
    refused = written(*refused_run())
    assert refused.startswith("**Nothing was compared: 100 turns failed.**\n")
    assert "- B failed on all 100 turns: api.cohere.com refused (HTTP 401): ␛\\[2Jno such key (100)" in refused


def test_four_sides_are_compared_in_pairs() -> None:
    """Three stand in one table; more would not be readable in a comment."""
    sides = (COSINE, MINILM, *(Side(label, f"other-{label}", f"x:{label}", "f" * 16) for label in "CD"))
    scores = {"A": descending(range(1, 21)), **{label: moved(2) for label in "BCD"}}
    run, outcomes = run_of([session_of("s", "acme", [Asked("?", POOL, scores)], "ABCD")], sides, RunConfig())
    text = written(run, outcomes)
    assert re.findall(r"^\|  \| A cosine \|  \| (.) ", text, re.MULTILINE) == ["B", "C", "D"]


def test_runs_without_turns_or_summary_say_so() -> None:
    """The sentence, and which run it is; nothing else."""
    empty, _ = run_of([], (COSINE, MINILM), RunConfig())
    text = written(empty, [])
    assert text.startswith("**No turns: nothing was compared.**\n")
    assert "overlap" not in text
    unfinished = replace(hard_run()[0], status=RunStatus.INTERRUPTED)
    assert "**interrupted after 9 turns of 3 sessions: what follows counts these alone**" in written(unfinished, [])
    assert written(replace(unfinished, summary=None), []).startswith("**This run has no summary yet")


@pytest.mark.parametrize("doubtful", [False, True])
def test_fidelity_is_told_in_sentences(doubtful: bool) -> None:
    """Whether the side reproduces production, apart from what the sides differ in."""
    says = "A does not reproduce what production served" if doubtful else "B reproduces what production served"
    assert says in written(served_run(doubtful=doubtful)[0], [])


def test_why_the_blessed_run_is_not_compared_is_said() -> None:
    """The reason, in place of the changes."""
    run, _ = hard_run()
    text = written(run, [], Surroundings(not_compared="side B has another fingerprint"))
    assert "Not compared with the blessed run: side B has another fingerprint" in text
