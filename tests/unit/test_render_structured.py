"""A run for programs: valid against its schema, exact, and true to its own rankings."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from shadowdiff.records import SessionOutcome
from shadowdiff.render.formats import renderer_for
from shadowdiff.render.structured import summary_json
from shadowdiff.render.text import UNSAFE
from shadowdiff.runs import Run, RunConfig, RunStatus
from tests.render_cases import COSINE, MINILM, Asked, entries, hard_run, run_of, served_run, session_of

SCHEMA = json.loads(files("shadowdiff.render").joinpath("run-1.schema.json").read_text("utf-8"))
DOCUMENT = Draft202012Validator(SCHEMA, format_checker=FormatChecker())
LINE = Draft202012Validator(
    {"$schema": SCHEMA["$schema"], "$ref": "#/$defs/line", "$defs": SCHEMA["$defs"]}, format_checker=FormatChecker()
)
EVERY_RUN = pytest.mark.parametrize(("others", "noise"), [(1, False), (1, True), (2, False), (2, True)])


def written(run: Run, outcomes: list[SessionOutcome], name: str = "json", *, full_rankings: bool = False) -> str:
    """The run as text."""
    out = io.StringIO()
    renderer_for(name, full_rankings=full_rankings).render(run, outcomes, out)
    return out.getvalue()


def document(run: Run, outcomes: list[SessionOutcome], *, full_rankings: bool = False) -> dict[str, Any]:
    """The run as a reader of its JSON gets it."""
    found: dict[str, Any] = json.loads(written(run, outcomes, full_rankings=full_rankings))
    return found


@EVERY_RUN
@pytest.mark.parametrize("full_rankings", [False, True])
def test_json_keeps_to_its_schema(others: int, noise: bool, full_rankings: bool) -> None:
    """Every case of the fixture, with and without whole rankings."""
    DOCUMENT.validate(document(*hard_run(others=others, noise=noise), full_rankings=full_rankings))


@pytest.mark.parametrize("doubtful", [False, True])
def test_fidelity_keeps_to_its_schema_and_to_its_rankings(doubtful: bool) -> None:
    """In both formats; what each turn says follows from its own `served` and the whole ranking of production's side."""
    run, outcomes = served_run(doubtful=doubtful)
    for line in written(run, outcomes, "jsonl").splitlines():
        LINE.validate(json.loads(line))
    found = document(run, outcomes, full_rankings=True)
    DOCUMENT.validate(found)
    assert found["summary"]["fidelity"]["verdict"] == ("doubtful" if doubtful else "reproduces")
    side = found["config"]["production"]
    for turn in (turn for session in found["sessions"] for turn in session["turns"]):
        if turn["fidelity"] is None:
            assert not turn["served"] or side not in turn["rankings"]
            continue
        shown = [item["entry_id"] for item in turn["rankings"][side]][: len(turn["served"])]
        assert turn["fidelity"]["identical"] == (shown == turn["served"])
        shared = len(set(shown) & set(turn["served"]))
        assert turn["fidelity"]["overlap"] == round(shared / len(turn["served"]), 6)


def test_what_was_served_is_told_whether_or_not_it_is_compared() -> None:
    """Entry ids as recorded, an empty list apart from none, and the reranker by production's own word."""
    served = [("kb-2", "kb-2"), (), None]
    turns = [Asked("?", entries(["a"], "kb"), {"A": [1.0], "B": [1.0]}, served=each, served_by="v3") for each in served]
    run, outcomes = run_of([session_of("s", "acme", turns, "AB")], (COSINE, MINILM), RunConfig())
    found = document(run, outcomes)["sessions"][0]["turns"]
    assert [turn["served"] for turn in found] == [["kb-2", "kb-2"], [], None]
    assert [(turn["served_by"], turn["fidelity"]) for turn in found] == [("v3", None)] * 3


@EVERY_RUN
def test_json_lines_say_the_same(others: int, noise: bool) -> None:
    """Each line is valid by itself, and together they hold exactly what the document holds."""
    run, outcomes = hard_run(others=others, noise=noise)
    lines = [json.loads(line) for line in written(run, outcomes, "jsonl").splitlines()]
    for line in lines:
        LINE.validate(line)
    kinds = [line.pop("type") for line in lines]
    assert kinds == ["run", *["session"] * len(outcomes), "summary"]
    assert {**lines[0], "sessions": lines[1:-1], "summary": lines[-1]} == document(run, outcomes)


def test_the_schema_is_one_and_refuses_what_is_not_ours() -> None:
    """The schema is itself valid; a missing and an unknown field are found."""
    Draft202012Validator.check_schema(SCHEMA)
    found = document(*hard_run())
    with pytest.raises(ValidationError, match="unexpected"):
        DOCUMENT.validate({**found, "extra": 1})
    found["sessions"][0]["turns"][0].pop("pool_hash")
    with pytest.raises(ValidationError, match="'pool_hash' is a required property"):
        DOCUMENT.validate(found)


@EVERY_RUN
def test_counts_follow_from_the_rankings(others: int, noise: bool) -> None:
    """Sets, session counts and run sums, recomputed from nothing but the rankings in the JSON."""
    found = document(*hard_run(others=others, noise=noise))
    for label, pair in found["summary"]["pairs"].items():
        only_a = only_b = 0
        for session in found["sessions"]:
            union_a, union_b = set[str](), set[str]()
            for turn in session["turns"]:
                diff = turn["diffs"][label]
                if diff is None:
                    assert turn["outcome"][label] == "failed"
                    continue
                a, b = ({item["entry_id"] for item in turn["rankings"][side]} for side in ("A", label))
                assert (set(diff["only_in_a"]), set(diff["only_in_b"]), set(diff["both"])) == (a - b, b - a, a & b)
                union_a |= a
                union_b |= b
            assert set(session["diffs"][label]["only_in_a"]) == union_a - union_b
            only_a += len(union_a - union_b)
            only_b += len(union_b - union_a)
        assert (pair["only_in_a"], pair["only_in_b"]) == (only_a, only_b)


def test_whole_rankings_hold_the_whole_pool() -> None:
    """Ranks count from 1, and an entry that a side does not rank has the score null."""
    turn = document(*hard_run(), full_rankings=True)["sessions"][1]["turns"][3]
    assert [(item["rank"], item["entry_id"], item["score"]) for item in turn["rankings"]["B"]] == [
        (1, "h-11", 0.9),
        (2, "h-9", 0.2),
        (3, "h-10", None),
    ]


def test_scores_are_exact() -> None:
    """A double is read back as the same double; what is derived is rounded to six places."""
    score = 0.1 + 0.2
    turn = Asked("?", entries(["a", "b", "c"], "e"), {"A": [score, 0.1, 1e-300], "B": [0.1, score, -7.0]})
    found = document(*run_of([session_of("s", "acme", [turn], "AB")], (COSINE, MINILM), RunConfig(top_k=3)))
    turn_found = found["sessions"][0]["turns"][0]
    assert [item["score"] for item in turn_found["rankings"]["A"]] == [score, 0.1, 1e-300]
    assert turn_found["diffs"]["B"]["rbo"] == round(turn_found["diffs"]["B"]["rbo"], 6)


def test_a_failure_keeps_its_reason() -> None:
    """The failed side has no ranking and its pair no diff; the reason stands under failures."""
    turn = document(*hard_run())["sessions"][1]["turns"][1]
    assert list(turn["rankings"]) == ["A"]
    assert turn["diffs"] == {"B": None}
    assert [failure["side"] for failure in turn["failures"]] == ["B"]


@pytest.mark.parametrize("name", ["json", "jsonl"])
def test_json_can_be_printed_to_a_terminal(name: str) -> None:
    """Hostile text comes out escaped, other languages as they are, and reading it back loses nothing."""
    run, outcomes = hard_run()
    text = written(run, outcomes, name)
    assert not UNSAFE.search(text.replace("\n", ""))
    assert "セキュリティ" in text
    text.encode("utf-8")
    query = outcomes[1].turns[0].replayed.turn.query
    assert json.dumps(query)[1:8] in text
    assert document(run, outcomes)["sessions"][1]["turns"][0]["query"] == query


def test_the_noise_floor_is_kept_apart() -> None:
    """The baseline's second pass is no side: it stands under `noise` and nowhere else."""
    found = document(*hard_run(noise=True))
    turn = found["sessions"][0]["turns"][1]
    assert list(turn["diffs"]) == ["B"]
    assert turn["noise"]["outcome"] == "different"
    assert list(turn["rankings"]) == ["A", "B"]
    assert found["summary"]["noise"]["turns"]["different"] == 1
    assert "noise" not in document(*hard_run())["sessions"][0]["turns"][1]


@pytest.mark.parametrize("name", ["json", "jsonl"])
def test_an_empty_run_is_valid(name: str) -> None:
    """No session matched: the means are null, and nothing is missing."""
    run, outcomes = run_of([], (COSINE, MINILM), RunConfig())
    for line in written(run, outcomes, "jsonl").splitlines():
        LINE.validate(json.loads(line))
    DOCUMENT.validate(document(run, outcomes))
    assert document(run, outcomes)["summary"]["pairs"]["B"]["mean_overlap"] is None


def test_a_run_without_summary_is_valid() -> None:
    """A run that is not finished has the summary null, and no summary line."""
    run, outcomes = hard_run()
    run = replace(run, status=RunStatus.RUNNING, summary=None, finished_at=None)
    DOCUMENT.validate(document(run, outcomes))
    assert document(run, outcomes)["summary"] is None
    assert '"type": "summary"' not in written(run, outcomes, "jsonl")


@pytest.mark.parametrize("name", ["json", "jsonl"])
def test_sessions_are_written_as_they_come(name: str) -> None:
    """Each session is out before the next is asked for: memory stays flat."""
    run, outcomes = hard_run()
    out = io.StringIO()

    def one_by_one() -> Iterator[SessionOutcome]:
        for outcome in outcomes:
            yield outcome
            seen.append(json.dumps(outcome.session.session_id) in out.getvalue())

    seen: list[bool] = []
    renderer_for(name).render(run, one_by_one(), out)
    assert seen == [True, True, True]


def test_the_summary_speaks_the_words_of_the_design() -> None:
    """Names that other programs rely on."""
    run = hard_run()[0]
    assert run.summary is not None
    found = summary_json(run, run.summary)
    pair = found["pairs"]["B"]
    assert pair["turns"] == {"same": 3, "reordered": 1, "different": 4, "failed": 1}
    assert pair["mean_only_in_b_per_session"] == 1.0
    assert len(pair["mean_only_in_b_ci95"]) == 2
    assert pair["distinct_change_percent"] == pytest.approx(-7.142857)
    assert found["sides"]["B"]["truncated_pairs"] == 8
