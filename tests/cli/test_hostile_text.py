"""Text from a database is hostile until escaped: in every format, at every width, on stderr too."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shadowdiff.database import parse_url
from shadowdiff.render.text import UNSAFE
from tests.conftest import ROOT, Cli, MakeDatabase, clean_environment, run_cli
from tests.terminals import Terminal, environment_of, python

MARKUP = "[/b] [bold red]loud[/] :smile: [link=https://example.com]x[/link]"
CLEAR = "\x1b[2J\x1b[H\x9b2J\x07\x08\x7f"
BIDI = "\u202egnp.exe \u2066 \u200f \u2028"
LONG = "ten kilobytes " * 800
HOSTILE = [MARKUP, CLEAR, BIDI, LONG, "日本語のタイトル 👩‍👩‍👧‍👦 é́́́", "</script><img src=x onerror=alert(1)>"]


@pytest.fixture(scope="module")
def hostile_template(
    make_database: MakeDatabase, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Name of a database whose every text field is hostile, loaded by the real command."""
    entries = [
        {"org_id": f"org {CLEAR}", "entry_id": f"e{n} {text[:200]}", "title": text, "body": f"{text} question"}
        for n, text in enumerate(HOSTILE * 3)
    ]
    turns: list[dict[str, Any]] = [
        {
            "turn_id": f"t{n} {text[:200]}",
            "query": f"{text} question",
            "search_query": f"question {text}" if n % 2 else None,
            "answer": text,
            "asked_at": "2026-11-01T10:00:00Z",
            "pool": [{"entry_id": entry["entry_id"]} for entry in entries],
            "served": [entry["entry_id"] for entry in entries[n:]],
        }
        for n, text in enumerate(HOSTILE)
    ]
    session: dict[str, Any] = {"session_id": f"s {BIDI} {MARKUP}", "org_id": f"org {CLEAR}", "tags": {CLEAR: BIDI}}
    session |= {"started_at": "2026-11-01T10:00:00Z", "turns": turns}
    bundle, url = tmp_path_factory.mktemp("bundle"), make_database(migrated_template)
    (bundle / "kb_entries.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    (bundle / "sessions.jsonl").write_text(json.dumps(session) + "\n")
    loaded = run_cli(bundle, "load", bundle, env={"SHADOWDIFF_DATABASE_URL": url})
    assert loaded.code == 0, loaded.err
    return str(parse_url(url).database)


@pytest.fixture
def hostile(make_database: MakeDatabase, hostile_template: str) -> dict[str, str]:
    """Environment with a copy of it."""
    return {"SHADOWDIFF_DATABASE_URL": make_database(hostile_template)}


def raw(text: str) -> set[str]:
    """Characters that would act on a terminal, line ends aside."""
    return set(UNSAFE.findall(text.replace("\n", "")))


@pytest.mark.parametrize("output", ["terminal", "json", "jsonl", "csv", "markdown", "junit", "html"])
def test_no_character_acts_on_the_terminal(cli: Cli, hostile: dict[str, str], output: str) -> None:
    """Replayed and shown: everything is there, nothing of it raw."""
    finished = cli("replay", "-A", "served", "-B", "bm25", "--format", output, env=hostile)
    assert finished.code == 0, finished.err
    assert raw(finished.out) == set()
    # The page carries its sessions compressed: tests/browser/test_report_is_safe.py looks at them.
    loud = {"markdown": r"\[bold red\]loud", "junit": "<testcase", "html": "<html"}.get(output, "[bold red]loud")
    assert loud in finished.out
    if output == "terminal":
        assert max(map(len, finished.out.splitlines())) < 250
    elif output == "json":
        (session,) = json.loads(finished.out)["sessions"]
        assert session["org_id"] == f"org {CLEAR}"
        assert session["turns"][2]["query"] == f"{BIDI} question"


@pytest.mark.parametrize("width", [40, 80, 160])
def test_colour_is_the_only_escape(cli: Cli, hostile: dict[str, str], width: int) -> None:
    """With colour on, every escape sequence is one of ours: it sets a style and nothing else."""
    out = cli("replay", "-A", "served", "-B", "bm25", "--color", "always", "--width", str(width), env=hostile).out
    assert "\x1b[" in out
    assert raw(re.sub(r"\x1b\[[0-9;]*m", "", out)) == set()


def test_errors_and_listings_are_escaped_too(cli: Cli, hostile: dict[str, str], tmp_path: Path) -> None:
    """What stderr and `runs` repeat of a database or of an argument is escaped as well."""
    refused = cli("replay", "--org", f"nobody{CLEAR}", env=hostile)
    assert refused.code == 2
    assert raw(refused.err) == set()
    (tmp_path / f"[bold red]loud[i]{CLEAR}").write_text("t Q0 e 1 1.0 tag\n")
    assert cli("replay", "-A", "served", "-B", f"run:[bold red]loud[i]{CLEAR}", env=hostile).code == 4
    listing = cli("runs", "--format", "json", env=hostile).out
    assert raw(listing) == raw(cli("runs", env=hostile).out) == set()
    assert "[bold red]loud" in listing


def test_exports_hold_it_and_say_nothing_raw(cli: Cli, hostile: dict[str, str], tmp_path: Path) -> None:
    """A bundle has every character and loads again; run files cannot, and nothing of them is left behind."""
    assert cli("replay", "-A", "served", "-B", "bm25", env=hostile).code == 0
    exported = cli("export", "--format", "bundle", "-o", f"out{CLEAR}", env=hostile)
    assert exported.code == 0, exported.err
    assert raw(exported.out) == set()
    session = json.loads((tmp_path / f"out{CLEAR}" / "sessions.jsonl").read_text(encoding="utf-8"))
    assert [turn["query"] for turn in session["turns"]] == [f"{text} question" for text in HOSTILE]
    assert cli("load", f"out{CLEAR}", env=hostile).code == 0
    refused = cli("export", "--format", "trec", "-o", "runs", env=hostile)
    assert (refused.code, raw(refused.err)) == (2, set())
    assert "holds white space, which separates the fields of a TREC file" in refused.err
    assert not (tmp_path / "runs").exists()


def test_labelling_shows_nothing_raw(hostile: dict[str, str], tmp_path: Path) -> None:
    """Every entry on the screen, cut and whole: what is sent is text, and the sequences of our own."""
    done = run_cli(tmp_path, "replay", "-A", "served", "-B", "bm25", "--latency", "0", env=hostile)
    assert done.code == 0, done.err
    environment = environment_of(clean_environment(tmp_path), ROOT) | hostile
    command = python("-m", "shadowdiff", "label", "--author", f"ann {CLEAR}{MARKUP}", "--depth", "18")
    with Terminal(command, environment, tmp_path) as terminal:
        for entry in range(1, 19):
            terminal.wait_for(f"turn 1 of 6 · entry {entry} of 18")
            terminal.press("m")
            terminal.wait_for("m: back")
            terminal.press("1" if entry % 2 else "s")
        terminal.wait_for("turn 2 of 6")
        terminal.press("q")
        assert terminal.wait() == 0
        assert terminal.is_restored()
    own = re.compile(r"\x1b\[(?:\?(?:1049|25|7)[hl]|[HJK]|[0-9;]*m)")
    assert raw(own.sub("", terminal.sent.decode()).replace("\r\n", "")) == set()
    assert "[bold red]loud" in terminal.sent.decode()
