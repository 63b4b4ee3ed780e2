"""Bundles: read whole, or refused with file, line and reason."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shadowdiff.errors import BundleError, ExitCode
from shadowdiff.records import Entry, Label, RecordedEntry
from shadowdiff.sources.bundle import EMBEDDINGS_FILE, read_bundle
from tests.bundles import ENTRY_LINES, QRELS, SESSION, TURN, Lines, write_bundle

ENTRIES, SESSIONS, LABELS = "kb_entries.jsonl", "sessions.jsonl", "qrels.txt"
VECTORS: dict[str, Any] = {
    "entries": np.ones((3, 4), np.float16),
    "turns": np.ones((2, 4), np.float16),
    "model": np.array("minilm"),
}


def without(fields: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The same object without one key."""
    return {name: value for name, value in fields.items() if name != key}


def other(**fields: object) -> list[dict[str, Any] | str]:
    """The session, and after it a second one, spoilt."""
    turn = TURN | {"turn_id": "t9"}
    return [SESSION, SESSION | {"session_id": "s2", "turns": [turn]} | fields]


def asked(**fields: object) -> list[dict[str, Any] | str]:
    """The session, and after it one whose only turn is spoilt."""
    return other(turns=[TURN | {"turn_id": "t9"} | fields])


def refusal(directory: Path) -> str:
    """The line with which the bundle is refused."""
    with pytest.raises(BundleError) as caught:
        read_bundle(directory)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == ExitCode.USAGE
    return message


def test_a_good_bundle_is_read_field_by_field(tmp_path: Path) -> None:
    """Every field arrives; times without zone are UTC; what is absent is None or empty."""
    bundle = read_bundle(write_bundle(tmp_path))
    assert bundle.entries[0] == Entry("acme", "e1", "Prices", "Nine dollars.")
    assert bundle.entries[1].updated_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert bundle.entries[2].title == "Étage 3 \u2028 日本"
    (session,) = bundle.sessions
    assert (session.started_at, dict(session.tags)) == (datetime(2026, 11, 19, tzinfo=UTC), {"channel": "web"})
    first, second = session.turns
    assert first.asked_at == datetime(2026, 11, 19, 14, 2, tzinfo=timezone(timedelta(hours=1)))
    assert first.recorded_pool == (RecordedEntry("e2", 0.5), RecordedEntry("e1"))
    assert (first.served, first.answer, first.search_text) == (("e1",), "Nine.", "price of the product")
    assert (second.position, second.recorded_pool, second.served, second.search_query) == (2, None, None, None)
    assert bundle.labels[2] == Label("acme", "t2", "e2", 1, "bundle")
    assert bundle.embeddings is None


def test_an_empty_pool_is_not_a_missing_one(tmp_path: Path) -> None:
    """A turn for which production found nothing has a recorded pool, an empty one."""
    (_, session) = read_bundle(write_bundle(tmp_path, sessions=asked(pool=[], served=[]))).sessions
    assert (session.turns[0].recorded_pool, session.turns[0].served) == ((), ())


def test_blank_lines_crlf_and_the_absence_of_labels_are_fine(tmp_path: Path) -> None:
    """What editors do to text files is no reason to refuse them, and line numbers still count every line."""
    write_bundle(tmp_path, qrels=None)
    path = tmp_path / ENTRIES
    path.write_bytes(b"\r\n\n" + path.read_bytes().replace(b"\n", b"\r\n"))
    bundle = read_bundle(tmp_path)
    assert (len(bundle.entries), bundle.labels) == (3, ())
    with path.open("ab") as file:
        file.write(b"{}\n")
    assert refusal(tmp_path).startswith(f"{ENTRIES}:6: ")


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        pytest.param('{"org_id": "acme",', "not valid JSON", id="bad-json"),
        pytest.param('\ufeff{"org_id": "acme"}', "not valid JSON", id="byte-order-mark"),
        pytest.param('["acme", "e2"]', "expected a JSON object, not a list", id="not-an-object"),
        pytest.param('"acme"', "expected a JSON object, not 'acme'", id="a-string"),
        pytest.param("null", "expected a JSON object, not None", id="null"),
        pytest.param('{"org_id": NaN}', "NaN is not valid JSON", id="nan"),
        pytest.param('{"org_id": -Infinity}', "-Infinity is not valid JSON", id="infinity"),
        pytest.param('{"org_id": 1e999}', "'1e999' is too large a number", id="overflow"),
        pytest.param('{"org_id": ' + "1" * 5000 + "}", "not JSON that can be read", id="endless-integer"),
        pytest.param('{"org_id": ' + "[" * 200_000 + "}", "not JSON that can be read", id="endless-nesting"),
        pytest.param(without(ENTRY_LINES[1], "org_id"), "'org_id' is missing", id="no-org"),
        pytest.param(without(ENTRY_LINES[1], "entry_id"), "'entry_id' is missing", id="no-id"),
        pytest.param(without(ENTRY_LINES[1], "body"), "'body' is missing", id="no-body"),
        pytest.param(ENTRY_LINES[1] | {"body": None}, "'body' is missing", id="null-body"),
        pytest.param(ENTRY_LINES[1] | {"entry_id": 7}, "'entry_id' must be a string, not 7", id="number-as-id"),
        pytest.param(ENTRY_LINES[1] | {"title": ["a"]}, "'title' must be a string, not a list", id="list-as-title"),
        pytest.param(
            ENTRY_LINES[1] | {"body": {"a": 1}}, "'body' must be a string, not an object", id="object-as-body"
        ),
        pytest.param(ENTRY_LINES[1] | {"entry_id": ""}, "'entry_id' is empty", id="empty-id"),
        pytest.param(ENTRY_LINES[1] | {"org_id": " "}, "'org_id' is empty", id="blank-org"),
        pytest.param(ENTRY_LINES[1] | {"entry_id": "é" * 300}, "'entry_id' is longer than 512 bytes", id="long-id"),
        pytest.param(
            ENTRY_LINES[1] | {"entry_id": "e1"}, "duplicate entry 'e1' of org 'acme', first on line 1", id="twice"
        ),
        pytest.param(
            ENTRY_LINES[1] | {"updated_at": "yesterday"},
            "'updated_at' is not an ISO 8601 time: 'yesterday'",
            id="bad-date",
        ),
        pytest.param(
            ENTRY_LINES[1] | {"updated_at": "2026-02-30"}, "'updated_at' is not an ISO 8601", id="no-such-day"
        ),
        pytest.param(ENTRY_LINES[1] | {"updated_at": 1763550000}, "'updated_at' must be a string", id="epoch-date"),
        pytest.param(ENTRY_LINES[1] | {"updated_at": "0001-01-01T00:00+14:00"}, "out of range", id="year-1"),
        pytest.param(ENTRY_LINES[1] | {"body": "a\0b"}, "'body' holds a NUL character", id="nul"),
        pytest.param(ENTRY_LINES[1] | {"title": "\ud800"}, "'title' holds half of a surrogate pair", id="surrogate"),
    ],
)
def test_a_bad_entry_is_refused(tmp_path: Path, second: dict[str, Any] | str, reason: str) -> None:
    """File, line and reason of the entry that is wrong."""
    message = refusal(write_bundle(tmp_path, entries=[ENTRY_LINES[0], second, ENTRY_LINES[2]]))
    assert message.startswith(f"{ENTRIES}:2: ")
    assert reason in message


@pytest.mark.parametrize(
    ("sessions", "reason"),
    [
        pytest.param(
            other(org_id="nobody"), "unknown org 'nobody': kb_entries.jsonl has no entry of it", id="unknown-org"
        ),
        pytest.param(other(session_id="s1"), "duplicate session 's1', first on line 1", id="session-twice"),
        pytest.param(other(session_id=None), "'session_id' is missing", id="no-session-id"),
        pytest.param(other(started_at="19.11.2026"), "'started_at' is not an ISO 8601 time", id="bad-start"),
        pytest.param(other(started_at=None), "'started_at' is missing", id="no-start"),
        pytest.param(other(turns=[]), "'turns' is missing or empty", id="no-turns"),
        pytest.param(other(turns=None), "'turns' is missing or empty", id="null-turns"),
        pytest.param(other(turns={"t": 1}), "'turns' must be a list, not an object", id="turns-object"),
        pytest.param(other(turns=["t9"]), "turn 1 must be an object, not 't9'", id="turn-string"),
        pytest.param(other(tags=["a"]), "'tags' must be an object, not a list", id="tags-list"),
        pytest.param(other(tags={"a": [{"b": "\0"}]}), "'tags' holds a NUL character", id="nul-in-tags"),
        pytest.param(other(tags={"\ud800": 1}), "'tags' holds half of a surrogate pair", id="surrogate-in-tags"),
        pytest.param(asked(turn_id="t1"), "duplicate turn 't1', first on line 1", id="turn-twice"),
        pytest.param(asked(turn_id=""), "'turn_id' is empty", id="no-turn-id"),
        pytest.param(asked(query=None), "'query' is missing", id="no-query"),
        pytest.param(asked(query=3), "'query' must be a string, not 3", id="number-as-query"),
        pytest.param(asked(search_query=False), "'search_query' must be a string, not False", id="bool-as-search"),
        pytest.param(asked(answer="\0"), "'answer' holds a NUL character", id="nul-in-answer"),
        pytest.param(asked(asked_at="25:00"), "'asked_at' is not an ISO 8601 time", id="bad-time"),
        pytest.param(asked(pool="e1"), "'pool' must be a list, not 'e1'", id="pool-string"),
        pytest.param(asked(pool=["e1"]), "each item of 'pool' must be an object, not 'e1'", id="pool-of-strings"),
        pytest.param(asked(pool=[{"score": 1}]), "'entry_id' is missing", id="pool-without-id"),
        pytest.param(
            asked(pool=[{"entry_id": "e1", "score": "1"}]), "'score' must be a number, not '1'", id="score-text"
        ),
        pytest.param(
            asked(pool=[{"entry_id": "e1", "score": True}]), "'score' must be a number, not True", id="score-bool"
        ),
        pytest.param(asked(pool=[{"entry_id": "e1", "score": 10**400}]), "'score' is too large", id="score-huge"),
        pytest.param(
            asked(pool=[{"entry_id": "e3"}]),
            "turn 't9': pool names entry 'e3', which org 'acme' does not have",
            id="missing-entry",
        ),
        pytest.param(
            asked(pool=[{"entry_id": "e1"}, {"entry_id": "e1"}]),
            "turn 't9': pool names entry 'e1' twice",
            id="pool-entry-twice",
        ),
        pytest.param(asked(served=["e3"]), "turn 't9': served names entry 'e3', which org", id="served-unknown"),
        pytest.param(asked(served=["e1", "e1"]), "turn 't9': served names entry 'e1' twice", id="served-twice"),
        pytest.param(asked(served=[1]), "'served' must be a string, not 1", id="served-number"),
        pytest.param(
            other(org_id="zeta", turns=[TURN | {"turn_id": "t9"}]),
            "turn 't9': pool names entry 'e2', which org 'zeta' does not have",
            id="entry-of-another-org",
        ),
    ],
)
def test_a_bad_session_is_refused(tmp_path: Path, sessions: Lines, reason: str) -> None:
    """File, line and reason of the session that is wrong."""
    assert refusal(write_bundle(tmp_path, sessions=sessions)).startswith(f"{SESSIONS}:2: {reason}")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("t1 0 e1", "expected 'turn_id 0 entry_id grade', found 3 fields", id="three-fields"),
        pytest.param("t1 0 e1 1 1", "expected 'turn_id 0 entry_id grade', found 5 fields", id="five-fields"),
        pytest.param("t1 0 e1 high", "the grade must be a whole number, not 'high'", id="grade-word"),
        pytest.param("t1 0 e1 0.5", "the grade must be a whole number, not '0.5'", id="grade-fraction"),
        pytest.param("t1 0 e1 1_0", "the grade must be a whole number, not '1_0'", id="grade-underscore"),
        pytest.param("t1 0 e1 " + "9" * 5000, "the grade must be a whole number", id="grade-endless"),
        pytest.param("t1 0 e1 -1", "the grade must be from 0 to 32767, not -1", id="grade-negative"),
        pytest.param("t1 0 e1 40000", "the grade must be from 0 to 32767, not 40000", id="grade-large"),
        pytest.param("t8 0 e1 1", "unknown turn 't8'", id="unknown-turn"),
        pytest.param("t1 0 e8 1", "entry 'e8' is not in org 'acme'", id="unknown-entry"),
        pytest.param("t1 1 e2 1", "duplicate label of 'e2' for 't1', first on line 3", id="twice"),
    ],
)
def test_a_bad_label_is_refused(tmp_path: Path, line: str, reason: str) -> None:
    """File, line and reason of the label that is wrong."""
    assert refusal(write_bundle(tmp_path, qrels=f"{QRELS}{line}\n")).startswith(f"{LABELS}:5: {reason}")


def test_bytes_that_are_not_utf8_are_found_on_their_own_line(tmp_path: Path) -> None:
    """The line is the one that holds the bytes, not the one where a buffer ended."""
    path = write_bundle(tmp_path) / ENTRIES
    path.write_bytes(path.read_bytes() + b'{"org_id": "\xff"}\n')
    assert refusal(tmp_path).startswith(f"{ENTRIES}:4: not valid UTF-8")


@pytest.mark.parametrize("name", [ENTRIES, SESSIONS])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    """Entries and sessions are both needed."""
    (write_bundle(tmp_path) / name).unlink()
    message = refusal(tmp_path)
    assert name in message
    assert "cannot be read: No such file or directory" in message


def test_a_directory_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    """What cannot be read is said, not raised."""
    (write_bundle(tmp_path, qrels=None) / LABELS).mkdir()
    assert "qrels.txt: cannot be read: Is a directory" in refusal(tmp_path)


def test_a_missing_directory_says_what_a_bundle_is(tmp_path: Path) -> None:
    """A wrong path, or a file in place of the directory, gets the names of the files that are expected."""
    file = tmp_path / "file"
    file.touch()
    for path in (tmp_path / "nowhere", file):
        assert re.search(r"no such directory; a bundle is .*kb_entries\.jsonl and sessions\.jsonl", refusal(path))


def test_embeddings_are_read_beside_their_rows(tmp_path: Path) -> None:
    """Arrays and the model's name arrive as they were saved."""
    np.savez(write_bundle(tmp_path) / EMBEDDINGS_FILE, **VECTORS)
    embeddings = read_bundle(tmp_path).embeddings
    assert embeddings is not None
    assert (embeddings.model, embeddings.entries.shape, str(embeddings.turns.dtype)) == ("minilm", (3, 4), "float16")


def _holes(value: float) -> np.ndarray[Any, Any]:
    array = np.ones((3, 4), np.float32)
    array[1, 2] = value
    return array


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        pytest.param(
            {"entries": np.ones((2, 4))}, "'entries' has shape (2, 4); the bundle has 3 entries", id="few-rows"
        ),
        pytest.param({"turns": np.ones((3, 4))}, "'turns' has shape (3, 4); the bundle has 2 turns", id="many-rows"),
        pytest.param({"turns": np.ones(2)}, "'turns' has shape (2,)", id="flat"),
        pytest.param(
            {"entries": np.ones((3, 0)), "turns": np.ones((2, 0))}, "'entries' has shape (3, 0)", id="no-columns"
        ),
        pytest.param({"turns": np.ones((2, 5))}, "different numbers of dimensions", id="other-dimensions"),
        pytest.param(
            {"turns_present": np.array([1, 0])}, "'turns_present' must hold 2 truth values, one for each", id="marks"
        ),
        pytest.param(
            {"turns": np.zeros((2, 4)), "turns_present": np.array([True, False])},
            "row 1 of 'turns' is all",
            id="unmarked",
        ),
        pytest.param(
            {"entries": np.ones((3, 4), int)}, "'entries' must hold floating-point numbers, not int64", id="int"
        ),
        pytest.param({"entries": _holes(np.nan)}, "row 2 of 'entries' is not finite", id="nan"),
        pytest.param(
            {"entries": _holes(0.0).astype(np.float64) * 1e300}, "row 1 of 'entries' is not finite", id="beyond-float32"
        ),
        pytest.param({"entries": np.diag([1.0, 1, 0, 1])[:3]}, "row 3 of 'entries' is all zeros", id="zero-row"),
        pytest.param(
            {"entries": np.full((3, 4), None)}, "cannot be read: Object arrays cannot be loaded", id="objects"
        ),
        pytest.param({"model": np.array(["a", "b"])}, "'model' must be one string", id="two-models"),
        pytest.param({"model": np.array(" ")}, "'model' must be one string", id="blank-model"),
        pytest.param({"model": np.array(1.5)}, "'model' must be one string", id="number-as-model"),
        *(pytest.param({name: None}, f"has no array {name!r}", id=f"no-{name}") for name in VECTORS),
    ],
)
def test_bad_embeddings_are_refused(tmp_path: Path, arrays: dict[str, Any], reason: str) -> None:
    """The file, the array and what is wrong with it."""
    kept = {name: array for name, array in (VECTORS | arrays).items() if array is not None}
    np.savez(write_bundle(tmp_path) / EMBEDDINGS_FILE, allow_pickle=True, **kept)
    message = refusal(tmp_path)
    assert message.startswith(f"{EMBEDDINGS_FILE}: ")
    assert reason in message


def _npy() -> bytes:
    out = io.BytesIO()
    np.save(out, np.ones(3))
    return out.getvalue()


def _torn() -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **VECTORS)
    content = bytearray(out.getvalue())
    content[60:200] = bytes(140)
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not an archive", id="text"),
        pytest.param(_npy(), id="npy"),
        pytest.param(_torn(), id="torn"),
        pytest.param(_torn()[:-40], id="cut-short"),
    ],
)
def test_a_file_that_is_no_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    """Whatever is in it, one plain line."""
    (write_bundle(tmp_path) / EMBEDDINGS_FILE).write_bytes(content)
    assert re.match(r"embeddings\.npz: (not an npz file|cannot be read: .+)", refusal(tmp_path))


def test_the_first_wrong_line_refuses_the_whole_bundle(tmp_path: Path) -> None:
    """A bundle is one value: a bad last line gives an error and no part of the rest."""
    lines = [
        json.dumps(SESSION | {"session_id": f"s{n}", "turns": [TURN | {"turn_id": f"t{n}"}]}) for n in range(1, 60)
    ]
    assert refusal(write_bundle(tmp_path, sessions=[*lines, "{"], qrels=None)).startswith(
        f"{SESSIONS}:60: not valid JSON"
    )
