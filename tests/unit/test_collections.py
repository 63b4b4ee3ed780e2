"""Collections of BEIR and TREC: the forms that topics, corpora, runs and qrels come in, and what is refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shadowdiff.errors import ConfigError
from shadowdiff.records import Entry, RecordedEntry
from shadowdiff.sources.bundle import Bundle
from shadowdiff.sources.collection import CollectionFiles, read_collection
from shadowdiff.sources.forms import beir_files, form_of, trec_files
from shadowdiff.sources.grouping import DEFAULT_PATTERN, session_pattern
from shadowdiff.sources.topics import read_topics

TABS = "106_3\tand where?\n106_1\twhat is it?\n7\tsomething else\n"
SGML = """<top>
<num> Number: 301
<title> International &amp; Organized Crime

<desc> Description:
Identify organizations.
</top>

<top>
<num>302</num>
<title>Topic: x &lt; y,
again</title>
</top>
"""
XML = '<topics>\n<topic number="1">\n<query>coronavirus origin</query>\n<question>where?</question>\n</topic></topics>'
CAST = json.dumps(
    [
        {
            "number": 31,
            "title": "cancer",
            "turn": [
                {"number": 1, "raw_utterance": "What is throat cancer?"},
                {"number": 2, "raw_utterance": "Is it treatable?", "manual_rewritten_utterance": "Is throat cancer?"},
            ],
        }
    ],
    indent=1,
)
IKAT = json.dumps(
    [
        {
            "number": "9-1",
            "turns": [
                {"turn_id": 1, "utterance": "a?", "resolved_utterance": "A?", "response": "yes"},
                {"turn_id": 2, "participant": "System", "utterance": "no turn of the user"},
            ],
        }
    ]
)


def files_in(directory: Path, contents: Mapping[str, str]) -> Path:
    """Write files by name."""
    for name, text in contents.items():
        (directory / name).parent.mkdir(exist_ok=True, parents=True)
        (directory / name).write_text(text, encoding="utf-8")
    return directory


def read(directory: Path, pattern: str = DEFAULT_PATTERN) -> Bundle:
    """The directory as a collection of the org `o`."""
    found = beir_files(directory) if form_of(directory) == "beir" else trec_files(directory, {})
    return read_collection(found, "o", session_pattern(pattern), "trec")


def refusal(directory: Path, pattern: str = DEFAULT_PATTERN) -> str:
    """The line with which it is refused."""
    with pytest.raises(ConfigError) as caught:
        read(directory, pattern)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        pytest.param("topics.tsv", TABS, [("106_3", "and where?"), ("106_1", "what is it?"), ("7", "something else")]),
        pytest.param("topics.txt", "\ufeff1\ta\tb\r\n\r\n", [("1", "a\tb")], id="byte order mark, CRLF, a second tab"),
        pytest.param("topics.txt", SGML, [("301", "International & Organized Crime"), ("302", "x < y, again")]),
        pytest.param("topics.xml", XML, [("1", "coronavirus origin")]),
        pytest.param("topics.json", CAST, [("31_1", "What is throat cancer?"), ("31_2", "Is it treatable?")]),
        pytest.param("topics.json", IKAT, [("9-1_1", "a?")]),
        pytest.param("queries.jsonl", '{"_id": "a", "text": "b", "metadata": {}}\n', [("a", "b")], id="BEIR"),
        pytest.param("topics.json", '[{"number": 1, "title": "b"}]', [("1", "b")], id="flat JSON"),
    ],
)
def test_topics_in_every_form(tmp_path: Path, name: str, text: str, expected: list[tuple[str, str]]) -> None:
    """Tabs, classic and XML blocks, CAsT and iKAT conversations, BEIR lines: ids and queries in file order."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert [(topic.turn_id, topic.query) for topic in read_topics(tmp_path / name)] == expected
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert [(topic.turn_id, topic.query) for topic in read_topics(packed)] == expected


def test_conversations_keep_what_their_file_knows(tmp_path: Path) -> None:
    """The session, the rewriting made by hand as what was searched with, and the answer."""
    (session,) = read(files_in(tmp_path, {"topics.json": CAST, "qrels.txt": "31_2 0 d 1\n"})).sessions
    assert (session.session_id, [turn.search_text for turn in session.turns]) == (
        "31",
        ["What is throat cancer?", "Is throat cancer?"],
    )
    (tmp_path / "topics.json").write_text(IKAT)
    (tmp_path / "qrels.txt").write_text("9-1_1 0 d 1\n")
    (session,) = read(tmp_path).sessions
    assert (session.session_id, session.turns[0].search_query, session.turns[0].answer) == ("9-1", "A?", "yes")


def test_a_trec_directory_becomes_sessions_with_pools(tmp_path: Path) -> None:
    """The run is the pool in rank order with its scores; what has no text is there without; times are made up."""
    contents = {
        "topics.tsv": TABS,
        "bm25.run": "106_3 Q0 d2 2 1.5 x\n106_3 Q0 d1 1 2.5 x\n106_1 Q0 d3 1 9 x\n",
        "qrels.txt": "106_1 0 d3 2\n106_3 0 d9 -2\n",
        "corpus.jsonl": '{"_id": "d1", "title": "One", "text": "first"}\n{"id": 7, "contents": "seven"}\n',
    }
    bundle = read(files_in(tmp_path, contents))
    assert bundle.entries == (
        Entry("o", "d1", "One", "first"),
        Entry("o", "7", "", "seven"),
        Entry("o", "d3", "", ""),
        Entry("o", "d2", "", ""),
        Entry("o", "d9", "", ""),
    )
    first, second = bundle.sessions
    assert (first.session_id, [turn.turn_id for turn in first.turns]) == ("106", ["106_1", "106_3"])
    assert (second.session_id, second.turns[0].recorded_pool) == ("7", None)
    assert first.turns[1].recorded_pool == (RecordedEntry("d1", 2.5), RecordedEntry("d2", 1.5))
    assert {turn.served for session in bundle.sessions for turn in session.turns} == {None}
    assert (first.started_at, second.started_at - first.started_at) == (
        datetime(2000, 1, 1, tzinfo=UTC),
        timedelta(minutes=1),
    )
    assert [(label.turn_id, label.entry_id, label.grade, label.source) for label in bundle.labels] == [
        ("106_1", "d3", 2, "trec"),
        ("106_3", "d9", 0, "trec"),
    ]


def test_only_what_is_judged_and_listed(tmp_path: Path) -> None:
    """A split keeps whole sessions that have a label; the corpus can be cut to what is named."""
    contents = {
        "corpus.jsonl": "".join(f'{{"_id": "d{n}", "text": "t"}}\n' for n in range(4)),
        "queries.jsonl": "".join(f'{{"_id": "{q}", "text": "q"}}\n' for q in ("1_1", "1_2", "2_1", "3_1")),
        "qrels/test.tsv": "query-id\tcorpus-id\tscore\n1_2\td1\t1\n",
        "qrels/dev.tsv": "query-id\tcorpus-id\tscore\n2_1\td2\t1\n",
    }
    directory = files_in(tmp_path, contents)
    whole = read(directory)
    assert (len(whole.entries), len(whole.sessions), len(whole.labels)) == (4, 3, 2)
    pattern = session_pattern(DEFAULT_PATTERN)
    test = read_collection(beir_files(directory, "test"), "o", pattern, "beir", judged_only=True, listed_only=True)
    assert [entry.entry_id for entry in test.entries] == ["d1"]
    assert [len(session.turns) for session in test.sessions] == [2]
    with pytest.raises(ConfigError, match=r"no qrels/train\.tsv; splits that it has: dev, test"):
        beir_files(directory, "train")


@pytest.mark.parametrize(
    ("name", "session"),
    [
        ("106_3", "106"),
        ("106-3", "106"),
        ("106:3", "106"),
        ("un-13a8:1", "un-13a8"),
        ("dd6b<::>12", "dd6b"),
        ("PLAIN-2", "PLAIN-2"),
        ("query_7", "query_7"),
        ("31_1-3", "31_1-3"),
        ("106_1234", "106_1234"),
        ("550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
        ("test-environment-aeghhgwpe-pro02b", "test-environment-aeghhgwpe-pro02b"),
    ],
)
def test_what_the_default_pattern_takes_for_a_session(tmp_path: Path, name: str, session: str) -> None:
    """Ids of conversations, and none of the ids that only look like some."""
    bundle = read(files_in(tmp_path, {"topics.tsv": f"{name}\tq\n", "qrels.txt": f"{name} 0 d 1\n"}))
    assert [found.session_id for found in bundle.sessions] == [session]


def test_a_pattern_of_the_user(tmp_path: Path) -> None:
    """Groups what it matches as a whole, and leaves the rest alone."""
    directory = files_in(tmp_path, {"topics.tsv": "s.2.a\tq\ns.1.a\tq\ns.1.a.b\tq\n", "qrels.txt": "s.2.a 0 d 1\n"})
    bundle = read(directory, r"(?P<session>[a-z])\.(?P<turn>\d)\.a")
    assert [[turn.turn_id for turn in session.turns] for session in bundle.sessions] == [
        ["s.1.a", "s.2.a"],
        ["s.1.a.b"],
    ]


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "is no regular expression"),
        (r"(?P<session>.)_(\d)", "has no group 'turn'; it needs two"),
        (r"(?P<session>.*)_(?P<turn>.*)", "topics.tsv:1: query id 'a_b': the pattern's group 'turn' is 'b', not"),
        (r"(?P<session>c*)(?P<turn>)a_b", "topics.tsv:1: query id 'a_b': the pattern's group 'session' is empty"),
        (r"(?P<session>a)_b(?P<turn>)|x", "group 'turn' is '', not a whole number"),
    ],
)
def test_patterns_that_do_not_do(tmp_path: Path, pattern: str, reason: str) -> None:
    """Refused, with the id that shows it."""
    assert reason in refusal(files_in(tmp_path, {"topics.tsv": "a_b\tq\n", "qrels.txt": "a_b 0 d 1\n"}), pattern)


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        ({"topics.tsv": "1 no tab\n"}, "topics.tsv:1: expected an id, a tab and the query"),
        ({"topics.tsv": "1\ta\n1\tb\n"}, "topics.tsv:2: duplicate query '1', first on line 1"),
        ({"topics.tsv": "\tq\n"}, "topics.tsv:1: 'id' is empty"),
        ({"topics.tsv": "1\t\0\n"}, "topics.tsv:1: 'query' holds a NUL character"),
        ({"topics.tsv": "5\ta\n5_1\tb\n"}, "topics.tsv:2: '5' is a query of its own and a session of others"),
        ({"topics.tsv": "\n"}, "topics.tsv: holds no query"),
        ({"topics.txt": "<top>\n<num> 1\n<title> a\n"}, "topics.txt:1: <top> is never closed"),
        ({"topics.txt": "\n<top><num>1</num></top>"}, "topics.txt:2: this topic has no <title> or <query>"),
        ({"topics.json": '[{"number": 1}]'}, "topics.json, item 1: query '1' has no text"),
        ({"topics.json": '[{"text": "a"}]'}, "topics.json, item 1: has no id"),
        ({"topics.json": "[1]"}, "topics.json, item 1: each item must be an object, not 1"),
        ({"topics.json": "[1,\n\n}"}, "topics.json:3: not valid JSON"),
        ({"topics.tsv": TABS, "x.run": "9 Q0 d 1 1 t\n"}, "x.run: lists entries for '9', a query that the topics"),
        ({"topics.tsv": TABS, "x.run": "7 Q0 d 1 high t\n"}, "x.run:1: the score must be a finite number"),
        ({"topics.tsv": TABS, "x.run": f"7 Q0 {'d' * 600} 1 1 t\n"}, "x.run, query '7', rank 1: 'entry id' is longer"),
        ({"topics.tsv": TABS, "x.run": "", "run.b": ""}, "run.b and x.run: say which with --run"),
        ({"topics.tsv": TABS, "qrels.txt": "7 0 d\n"}, "qrels.txt:1: expected 'turn_id 0 entry_id grade'"),
        ({"topics.tsv": TABS, "qrels.txt": "7 0 d 1\n7 0 d 2\n"}, "qrels.txt:2: duplicate label of 'd' for '7'"),
        ({"topics.tsv": TABS, "qrels.txt": "8 0 d 1\n"}, "qrels.txt:1: unknown query '8'"),
        ({"topics.tsv": TABS, "qrels.txt": "7 0 d 1.5\n"}, "qrels.txt:1: the grade must be a whole number, not '1.5'"),
        ({"topics.tsv": TABS, "qrels.txt": "7 0 d -99999\n"}, "qrels.txt:1: the grade must be from -32767 to 32767"),
        ({"topics.tsv": TABS}, "topics.tsv: neither a corpus nor a run nor qrels beside it name any entry"),
        ({"queries.jsonl": '{"_id": "1"}\n'}, "queries.jsonl:1: query '1' has no text"),
        (
            {"queries.jsonl": '{"_id": "1", "text": "a"}\n', "corpus.jsonl": '{"_id": "d"}\n{"_id": "d"}\n'},
            "corpus.jsonl:2: duplicate entry 'd', first on line 1",
        ),
        ({"notes.txt": "x"}, "neither a bundle (kb_entries.jsonl, sessions.jsonl) nor a BEIR directory"),
    ],
)
def test_wrong_collections_are_refused(tmp_path: Path, contents: Mapping[str, str], reason: str) -> None:
    """File, line and reason, as for bundles."""
    assert reason in refusal(files_in(tmp_path, contents))


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    """In one line that names the file."""
    (tmp_path / "topics.tsv.gz").write_bytes(gzip.compress("".join(f"{n}\tq\n" for n in range(99)).encode())[:-9])
    with pytest.raises(ConfigError, match=r"topics\.tsv\.gz: cannot be read"):
        read_collection(CollectionFiles(tmp_path / "topics.tsv.gz"), "o", session_pattern(DEFAULT_PATTERN), "trec")
