"""What a run reads like in a terminal: the cases that decide whether it is believed."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from shadowdiff.diff import only_changed
from shadowdiff.errors import ConfigError
from shadowdiff.privacy import textless
from shadowdiff.records import Entry, MissingText, PoolOrigin, SessionOutcome
from shadowdiff.render.formats import FORMATS, renderer_for
from shadowdiff.runs import Run, RunConfig, RunStatus, Side
from tests.render_cases import (
    BM25,
    COSINE,
    MINILM,
    Asked,
    descending,
    entries,
    hard_run,
    run_of,
    served_run,
    session_of,
)

POOL = entries(["Alpha", "Beta", "Gamma", "Delta"], "kb")
TOP_2 = RunConfig(top_k=2)
AS_GIVEN = descending([1, 2, 3, 4])


def drawn(run: Run, outcomes: Sequence[SessionOutcome], width: int = 80, *, only: bool = False) -> str:
    """The run as plain text."""
    out = io.StringIO()
    renderer_for("terminal", width=width, only_changed=only).render(run, outcomes, out)
    return out.getvalue()


def asked(b: Sequence[float] | str, a: Sequence[float] | str = AS_GIVEN, pool: tuple[Entry, ...] = POOL) -> Asked:
    """A turn of two sides."""
    return Asked("?", pool, {"A": a, "B": b})


def of_pair(*turns: Asked, sides: Sequence[Side] = (COSINE, MINILM), config: RunConfig = TOP_2) -> str:
    """One session of these turns, drawn."""
    return drawn(*run_of([session_of("s", "acme", turns, "ABC")], sides, config))


def rows(text: str, column: int) -> list[str]:
    """One column's rows, white space folded."""
    lines = [line.split("│") for line in text.splitlines() if "│" in line]
    return [" ".join(parts[column].split()) for parts in lines]


def test_signs_and_places_say_what_moved_where() -> None:
    """Only in A is `-` with B's rank, only in B `+` with A's, a move `▸`, the same rank `=`."""
    text = of_pair(asked(descending([1, 3, 2, 4])))
    assert rows(text, 0) == ["A cosine", "1 Alpha =", "- 2 Beta · now 3"]
    assert rows(text, 1) == ["B minilm-v3", "1 Alpha =", "+ 2 Gamma · was 3"]
    assert "top 2: 1 in both · 1 only in A · 1 only in B · RBO" in text


def test_a_reordered_turn_shows_its_moves() -> None:
    """The same entries in another order carry no sign, but say where each went."""
    text = of_pair(asked(descending([2, 1, 3, 4])))
    assert "reordered" in text
    assert rows(text, 0)[1:] == ["1 Alpha ▸ 2", "2 Beta ▸ 1"]


def test_a_same_turn_is_not_listed() -> None:
    """Nothing differs, so two lines are enough."""
    text = of_pair(asked(AS_GIVEN))
    assert "top 2: 2 in both, in the same order" in text
    assert rows(text, 0) == []


def test_an_entry_that_the_other_side_does_not_rank_says_so() -> None:
    """A run file that does not list an entry gives it no rank."""
    text = of_pair(asked([0.9, float("-inf"), 0.5, 0.4]))
    assert "- 2 Beta · unranked" in rows(text, 0)


def test_an_entry_below_the_threshold_is_told_from_one_outside_the_top() -> None:
    """In B's top 2, but cut by its min_score."""
    side = replace(MINILM, min_score=0.5)
    text = of_pair(asked([0.9, 0.4, 0.1, 0.2]), sides=(COSINE, side))
    assert rows(text, 0) == ["A cosine", "1 Alpha =", "- 2 Beta · now 2 cut"]
    assert rows(text, 1) == ["B minilm-v3 ≥ 0.5", "1 Alpha =", ""]


def test_a_side_that_surfaces_nothing_says_why() -> None:
    """All below the threshold."""
    text = of_pair(asked([0.4, 0.3, 0.1, 0.2]), sides=(COSINE, replace(MINILM, min_score=0.5)))
    assert "nothing at or above 0.5" in rows(text, 1)


def test_near_ties_at_the_cut_are_marked() -> None:
    """Gamma missed A's top 2 by a hundredth of a per cent, so its being new in B means little."""
    text = of_pair(asked(descending([1, 3, 4, 2]), a=[0.9, 0.5, 0.49999, 0.1]))
    assert "-≈ 2 Beta · now 4" in rows(text, 0)
    assert "+≈ 2 Gamma · was 3" in rows(text, 1)


def test_equal_titles_are_told_apart_by_id() -> None:
    """Two surfaced entries of one title show their ids; an entry without title shows only its id."""
    text = of_pair(asked(descending([3, 2, 1]), a=AS_GIVEN[:3], pool=entries(["FAQ", "FAQ", ""], "kb")))
    assert rows(text, 0)[1:] == ["- 1 FAQ (kb-1) · now 3", "2 FAQ (kb-2) ="]
    assert "+ 1 kb-3 · was 3" in rows(text, 1)


@pytest.mark.parametrize("failed", ["A", "B"])
def test_a_failed_side_says_why_beside_the_list_of_the_other(failed: str) -> None:
    """The other side's list stands without signs, and nothing is counted."""
    turn = Asked("?", POOL, {"A": AS_GIVEN, "B": AS_GIVEN, failed: "HTTP 503\x1b[2J"})
    text = of_pair(turn)
    mine, theirs = ("AB".index(failed), 1 - "AB".index(failed))
    assert "failed: HTTP 503␛[2J" in rows(text, mine)
    assert rows(text, theirs)[1:] == ["1 Alpha", "2 Beta"]
    assert f"not compared: {failed} failed" in text
    assert "session: nothing to compare: every turn failed" in text
    assert text.endswith("Nothing was compared: 1 turn failed.\n")


def test_several_others_share_the_columns_while_they_fit() -> None:
    """Side by side the baseline's sign names who lacks the entry; in a narrow terminal each pair stands by itself."""
    turn = Asked("?", POOL, {"A": AS_GIVEN, "B": descending([1, 3, 2, 4]), "C": descending([3, 4, 1, 2], best=9)})
    outcome = run_of([session_of("s", "acme", [turn], "ABC")], (COSINE, MINILM, BM25), TOP_2)
    wide, narrow = drawn(*outcome, width=160), drawn(*outcome, width=100)
    assert rows(wide, 0) == ["A cosine", "-C 1 Alpha B= C·3", "- 2 Beta B·3 C·4"]
    assert rows(narrow, 0) == [
        "A cosine",
        "1 Alpha =",
        "- 2 Beta · now 3",
        "A cosine",
        "- 1 Alpha · now 3",
        "- 2 Beta · now 4",
    ]


def test_the_noise_floor_stands_beside_every_count() -> None:
    """The baseline against itself, for turns, sessions and the run."""
    text = drawn(*hard_run(noise=True))
    assert "2 only in A (noise 1) · 2 only in B (noise 1)\n         RBO 0.65 (noise 0.87)" in text
    assert "session: 6 in both · 0 only in A (noise 0) · 2 only in B (noise 1)" in text
    assert "A → A, noise" in text


def test_a_failed_noise_pass_is_not_a_floor_of_nought() -> None:
    """Where the second pass gave no ranking the floor is unknown."""
    turn = Asked("?", POOL, {"A": AS_GIVEN, "B": descending([1, 3, 2, 4])})
    text = of_pair(turn, config=replace(TOP_2, noise=True))
    assert "1 only in A (noise ?)" in text


def test_the_rewritten_query_is_shown_where_it_differs() -> None:
    """What was searched with stands beneath what was typed, and only where they differ."""
    follow_up = replace(asked(AS_GIVEN), query="and in the EU?", search_query="data residency in the EU")
    unchanged = replace(asked(AS_GIVEN), query="pricing", search_query="pricing")
    text = of_pair(follow_up, unchanged)
    assert "searched: “data residency in the EU”" in text
    assert "searched: “pricing”" not in text


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"unpooled": True, "origin": PoolOrigin.COSINE}, "no recorded pool: retrieved by cosine"),
        ({"unpooled": True, "origin": PoolOrigin.UNION}, "no recorded pool: made of what the sides list"),
        ({"unpooled": True, "pool": (), "scores": {}}, "no recorded pool"),
        ({"missing_entries": 1}, "1 entry of the recorded pool no longer in the knowledge base"),
        ({"pool": POOL[:1], "scores": {"A": [1.0], "B": [1.0]}}, "the pool holds only 1 entry"),
        ({"pool": (), "scores": {"A": [], "B": []}}, "the pool is empty"),
    ],
)
def test_what_a_reader_must_know_of_a_pool_is_said(changes: dict[str, object], note: str) -> None:
    """A pool that was not recorded, is short or lost entries is announced before its lists."""
    assert f"\n  {note}" in of_pair(replace(asked(AS_GIVEN), **changes))  # type: ignore[arg-type]


def test_what_only_changed_hides_is_counted() -> None:
    """The sessions and turns that are not shown are told, and the summary stays that of the whole run."""
    sessions = [
        session_of("quiet", "acme", [asked(AS_GIVEN), asked(AS_GIVEN)], "AB"),
        session_of("loud", "acme", [asked(AS_GIVEN), asked(descending([3, 1, 2, 4]))], "AB"),
    ]
    run, outcomes = run_of(sessions, (COSINE, MINILM), TOP_2)
    changed = [kept for kept in map(only_changed, outcomes) if kept is not None]
    text = drawn(run, changed, only=True)
    assert "quiet" not in text
    assert "turn 2/2" in text
    assert "not shown, as no entry differs: 3 of 4 turns · 1 of 2 sessions entirely" in text
    assert "surfaced different entries in 1 of 4 turns" in text


@pytest.mark.parametrize(
    ("turns", "sentence"),
    [
        ([], "No turns: nothing was compared."),
        ([AS_GIVEN] * 200, "A and B: no differences in 200 turns."),
        ([AS_GIVEN], "A and B: no differences in 1 turn."),
        ([AS_GIVEN, "no"], "A and B: no differences in 1 turn (1 turn failed)."),
        (["no", "no"], "Nothing was compared: 2 turns failed."),
        (
            [AS_GIVEN, descending([2, 1, 3, 4])],
            "A and B surfaced the same entries in 2 turns, in another order in 1.",
        ),
        (
            [AS_GIVEN, descending([2, 3, 1, 4]), "no"],
            "A and B surfaced different entries in 1 of 2 turns (1 turn failed).",
        ),
    ],
)
def test_a_run_ends_with_one_sentence(turns: list[list[float] | str], sentence: str) -> None:
    """The last line says what it comes down to, whatever happened."""
    sessions = [session_of("s", "acme", [asked(turn) for turn in turns], "AB")] if turns else []
    assert drawn(*run_of(sessions, (COSINE, MINILM), TOP_2), width=120).splitlines()[-1].strip() == sentence


def test_each_pair_has_its_own_verdict() -> None:
    """One pair failing on every turn does not silence the other."""
    turn = Asked("?", POOL, {"A": AS_GIVEN, "B": AS_GIVEN, "C": "no"})
    text = drawn(*run_of([session_of("s", "acme", [turn], "ABC")], (COSINE, MINILM, BM25), TOP_2), width=120)
    assert text.endswith("A and B: no differences in 1 turn; A and C: nothing was compared (1 turn failed).\n")


def test_an_interrupted_run_says_how_far_it_got() -> None:
    """The counts of a run that was cut short are not read as those of the whole."""
    run, outcomes = hard_run()
    text = drawn(replace(run, status=RunStatus.INTERRUPTED), outcomes)
    assert "interrupted after 9 turns of 3 sessions: what follows counts these alone" in text


def test_a_run_without_summary_is_not_finished() -> None:
    """A run that is still going can be shown."""
    run, outcomes = hard_run()
    text = drawn(replace(run, status=RunStatus.RUNNING, summary=None), outcomes)
    assert text.endswith("This run has no summary yet: it was not finished.\n")


def test_sessions_are_written_as_they_come() -> None:
    """The first session is out before the second is asked for: memory stays flat."""
    run, outcomes = hard_run()
    out = io.StringIO()

    def one_by_one() -> Iterator[SessionOutcome]:
        for outcome in outcomes:
            yield outcome
            written.append(out.getvalue())

    written: list[str] = []
    renderer_for("terminal").render(run, one_by_one(), out)
    assert ["session 7f3a" in text and "session s-quiet" not in text for text in written] == [True, True, False]


def test_a_session_without_turns_says_so() -> None:
    """It has nothing to compare, but it is there."""
    text = of_pair()
    assert "0 turns" in text
    assert "session: nothing to compare: it has no turns" in text


def test_every_format_has_a_renderer_and_no_other() -> None:
    """A misspelt format names those that there are."""
    assert [type(renderer_for(name)).__name__ for name in FORMATS] == [
        "TerminalRenderer",
        "MarkdownRenderer",
        "HtmlRenderer",
        "JsonRenderer",
        "JsonLinesRenderer",
        "CsvRenderer",
        "JunitRenderer",
    ]
    with pytest.raises(ConfigError, match=f"no output format 'jsno'; use one of {', '.join(FORMATS)}"):
        renderer_for("jsno")


def test_a_turn_unlike_what_was_served_is_noted_where_that_is_the_exception() -> None:
    """Where production is reproduced, the one turn that is not so; neither near-ties nor a rule are news."""
    assert drawn(*served_run(doubtful=False)).count("differs from what production served") == 1
    assert "B differs from what production served, first at rank 3\n" in drawn(*served_run(doubtful=False))
    assert "differs from what production served" not in drawn(*served_run(doubtful=True))


def of_served(served: tuple[str, ...] | None, config: RunConfig, b: Sequence[float] | str = AS_GIVEN) -> str:
    """One turn of which this was served, drawn."""
    turn = Asked("?", POOL, {"A": AS_GIVEN, "B": b}, served=served)
    return drawn(*run_of([session_of("s", "acme", [turn], "AB")], (COSINE, MINILM), config))


def test_a_named_side_with_nothing_to_compare_says_why() -> None:
    """Nothing served, or the side failed; where the side is only assumed and nothing was served, not a word."""
    named, assumed = RunConfig(production="B"), RunConfig(production="A", production_assumed=True)
    assert "Nothing was compared: no turn has a record of what was served." in of_served(None, named)
    failed = of_served(("kb-1",), named, "HTTP 503")
    assert "Nothing was compared: B failed on all 1 turn with something served." in failed
    assert "Fidelity" not in of_served(None, assumed)
    assert "Fidelity" not in of_served(("kb-1",), RunConfig())


def test_a_side_that_is_only_assumed_is_called_so() -> None:
    """Whoever did not say which side is production's is told which one was taken, and how to say it."""
    assert "A is taken for production's reranker" in of_served(
        ("kb-1",), RunConfig(production="A", production_assumed=True)
    )
    assert "is taken for" not in of_served(("kb-1",), RunConfig(production="A"))


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (MissingText.NOT_STORED, "(text not stored)"),
        (MissingText.CHANGED, "(text not stored; changed in the source since)"),
        (MissingText.GONE, "(text not stored; no longer in the source)"),
    ],
)
def test_a_missing_text_is_said_not_shown_as_empty(missing: MissingText, said: str) -> None:
    """In brackets, without quotation marks; entries go by their ids; a side that saw redacted texts says so."""
    session = session_of("s", "acme", [asked(descending([1, 3, 2, 4]))], "ABC")
    run, outcomes = run_of([textless(session)], (COSINE, MINILM), replace(TOP_2, redacted_sides=("B",)))
    turn = outcomes[0].turns[0]
    bare = replace(turn.replayed, turn=replace(turn.replayed.turn, missing_text=missing))
    text = drawn(run, [replace(outcomes[0], turns=(replace(turn, replayed=bare),))], width=120)
    assert said in text
    assert "“" not in text
    assert rows(text, 0)[1] == f"1 {POOL[0].entry_id} ="
    assert text.count("saw redacted texts") == 1
