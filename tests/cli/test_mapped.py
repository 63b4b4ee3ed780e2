"""Somebody else's schema through the real command line, by configuration only."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from shadowdiff.database import store_engine
from tests.conftest import MODEL, SAMPLE, Cli
from tests.strangers import MAPPING, Renamed

ID_OR_TIME = ("run_id", "started_at", "finished_at")
FREE = ("-A", "cosine", "-B", "bm25", "-B", "served")
SHOWN = ("--top-k", "5", "--latency", "0", "--format", "json", "--full-rankings")
CASES = [
    ("--last", "8", *FREE),
    ("--last", "2", *FREE, "-B", f"onnx:{MODEL},max_length=96", "--pool", "6"),
    ("--last", "8", *FREE, "--pool-from", "cosine"),
    ("--last", "4", "--since", "2026-11-01", "--until", "2026-11-19", *FREE, "--pool-from", "hybrid"),
]


def configured(directory: Path, source_url: str, store_url: str, mapping: str = MAPPING) -> Path:
    """A shadowdiff.toml that maps the schema."""
    directory.mkdir(exist_ok=True)
    urls = f"[database]\nurl = {json.dumps(source_url)}\n[store]\nurl = {json.dumps(store_url)}\n"
    (directory / "shadowdiff.toml").write_text(urls + mapping, encoding="utf-8")
    return directory


def comparable(document: dict[str, Any], names: dict[str, str]) -> str:
    """The run as text without its own ids and times, every id of the stranger's put back."""
    rest = {key: value for key, value in document.items() if key not in ID_OR_TIME}
    rest["summary"].pop("timing")
    for session in rest["sessions"]:
        for turn in session["turns"]:
            turn.pop("pool_hash")  # over entry ids
    written = json.dumps(rest, indent=1)
    return re.sub(r'"([0-9a-f-]{36}|\d{4})"', lambda found: json.dumps(names.get(found[1], found[1])), written)


@pytest.mark.parametrize("arguments", CASES, ids=["recorded", "model", "cosine", "hybrid in a window"])
def test_the_same_sessions_give_the_same_rankings_as_through_our_own_schema(
    cli: Cli, sample_url: str, empty_url: str, stranger: tuple[str, Renamed], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """Byte for byte in JSON apart from ids and times: uuid keys, naive times, JSONB pools, halfvec."""
    url, names = stranger
    own = cli("replay", *arguments, *SHOWN, env={"SHADOWDIFF_DATABASE_URL": sample_url})
    mapped = cli("replay", *arguments, *SHOWN, cwd=configured(tmp_path / "here", url, empty_url))
    assert (own.code, own.err, mapped.code, mapped.err) == (0, "", 0, "")
    one, other = json.loads(own.out), json.loads(mapped.out)
    assert len(one["sessions"]) == int(arguments[1])
    assert {session["started_at"] for session in one["sessions"]} == {s["started_at"] for s in other["sessions"]}
    assert comparable(one, {}) == comparable(other, names.back())


def test_what_init_proposes_gives_the_same_rankings_too(
    cli: Cli, sample_url: str, empty_url: str, stranger: tuple[str, Renamed], tmp_path: Path
) -> None:
    """Without a question asked but for the zone: `init`, then `replay`."""
    url, names = stranger
    made = cli("init", "--database", url, "--yes", "--timezone", "America/St_Johns")
    assert (made.code, made.err) == (0, "")
    environment = {"SHADOWDIFF_STORE_URL": empty_url}
    own = json.loads(
        cli("replay", *CASES[0], *SHOWN, env={"SHADOWDIFF_DATABASE_URL": sample_url}, cwd=tmp_path.parent).out
    )
    mapped = json.loads(cli("replay", *CASES[0], *SHOWN, env=environment).out)
    for document in (own, mapped):
        for session in document["sessions"]:
            session.pop("tags")  # `init` proposes none
    assert comparable(own, {}) == comparable(mapped, names.back())


def test_nothing_is_ever_made_in_a_mapped_database(cli: Cli, stranger: tuple[str, Renamed], tmp_path: Path) -> None:
    """Without a store of its own, runs go to the embedded server; `db upgrade` and `load` leave the source alone."""
    here, home = tmp_path / "here", {"SHADOWDIFF_HOME": str(tmp_path / "home")}
    here.mkdir()
    (here / "shadowdiff.toml").write_text(f"[database]\nurl = {json.dumps(stranger[0])}\n{MAPPING}", encoding="utf-8")
    status = cli("db", "status", cwd=here, env=home)
    assert (status.code, status.out) == (0, f"embedded Postgres in {tmp_path / 'home'}: not running\n")
    try:
        assert cli("db", "upgrade", cwd=here, env=home).out.endswith("store tables are up to date\n")
        done = cli("replay", "--last", "1", "--latency", "0", cwd=here, env=home)
        assert (done.code, done.err) == (0, "")
        assert len(cli("runs", cwd=here, env=home).out.splitlines()) == 2
        refused = cli("load", str(SAMPLE), cwd=here, env=home)
        assert refused.code == 2
        assert "[source] maps a schema of your own, which is only ever read" in refused.err
    finally:
        cli("db", "stop", cwd=here, env=home)
    engine = store_engine(stranger[0])
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT to_regnamespace('shadowdiff')")) is None
    engine.dispose()


def test_a_night_replays_the_same_sessions_as_through_our_own_schema(
    cli: Cli, sample_url: str, empty_url: str, stranger: tuple[str, Renamed], tmp_path: Path
) -> None:
    """Bounds and last turns are compared as the columns' own types; nights stand in the store, not in the source."""
    url, names = stranger
    night = '[replay]\nbaseline = "cosine"\nothers = ["bm25"]\n[nightly]\nfirst = "9d"\ndirectory = "reports"\n'
    mapped = configured(tmp_path / "mapped", url, empty_url, MAPPING + night)
    own = tmp_path / "own"
    own.mkdir()
    (own / "shadowdiff.toml").write_text(night, encoding="utf-8")
    replayed = []
    # While one session of the sample is still going on: it is left to the next night in both.
    for folder, env in ((own, {"SHADOWDIFF_DATABASE_URL": sample_url}), (mapped, {})):
        ended = cli("nightly", "--as-of", "2026-11-19T14:20", cwd=folder, env=env)
        assert (ended.code, ended.err) == (0, "")
        document = json.loads((folder / "reports" / "2026-11-19" / "run.json").read_text(encoding="utf-8"))
        replayed.append([session["session_id"] for session in document["sessions"]])
    assert replayed[0] == [names.back().get(name, name) for name in replayed[1]]
    assert "hv-7f3a" not in replayed[0]
    assert len(replayed[0]) > 8
