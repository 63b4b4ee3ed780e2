"""[privacy] through the real command line: what is refused, what leaves over a real connection, what is shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from sqlalchemy import text

from shadowdiff.database import store_engine
from shadowdiff.sources.bundle import Bundle
from tests.conftest import MODEL, SAMPLE, Cli, Finished, clean_environment
from tests.contract.tiny_models import save_tiny_cross_encoder
from tests.loopback import install_plugin, reranking_server

Environment = dict[str, str]
QUICK = ("--latency", "0")
PLANTED = ("joe@example.com", "4111 1111 1111 1111", "+49 30 901820", "AKIAIOSFODNN7EXAMPLE")
REDACT = '[privacy]\nredact = ["email", "phone", "card", "key"]\n'
GUARD = """
import os, socket

def refused(sock, address):
    if sock.family == socket.AF_UNIX:
        return connect(sock, address)
    with open(os.environ["GUARD_LOG"], "a") as log:
        log.write(f"{address}\\n")
    raise OSError("no network in this test")

def unresolved(host, *rest, **more):
    with open(os.environ["GUARD_LOG"], "a") as log:
        log.write(f"{host}\\n")
    raise socket.gaierror("no network in this test")

connect = socket.socket.connect
socket.socket.connect = socket.socket.connect_ex = refused
socket.getaddrinfo = unresolved
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Environment:
    """Environment in which the plugin of tests.loopback is installed."""
    directory = tmp_path / "plugin"
    directory.mkdir()
    install_plugin(directory)
    return importing(directory)


@pytest.fixture
def guarded(tmp_path: Path) -> Environment:
    """Environment in which Python reaches no network, and every attempt is written down."""
    directory = tmp_path / "guard"
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(GUARD)
    return importing(directory) | {"GUARD_LOG": str(tmp_path / "guard.log"), "HF_HOME": str(tmp_path / "hub")}


def importing(directory: Path) -> Environment:
    """Environment in which this directory is looked into first."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(directory), os.environ.get("PYTHONPATH")]))}


def configure(directory: Path, content: str) -> None:
    """The shadowdiff.toml of the next command."""
    (directory / "shadowdiff.toml").write_text(content, encoding="utf-8")


def plant(url: str) -> None:
    """Something to redact in every query, title and body."""
    engine = store_engine(url)
    with engine.begin() as connection:
        planted = {"planted": " " + " ".join(PLANTED) + " "}
        connection.execute(text("UPDATE shadowdiff.turns SET query = query || :planted, search_query = NULL"), planted)
        connection.execute(
            text("UPDATE shadowdiff.entries SET title = title || :planted, body = body || :planted"), planted
        )
    engine.dispose()


def succeeded(finished: Finished) -> str:
    """The output of a command that ended well and had nothing to say beside it."""
    assert (finished.code, finished.err) == (0, "")
    return finished.out


@pytest.mark.parametrize("kind", ["remote", "pooled"])
def test_nothing_planted_leaves(
    cli: Cli, database: Environment, sample_url: str, plugin: Environment, tmp_path: Path, kind: str
) -> None:
    """A remote side gets every text redacted: ranked, timed, for the noise floor, in a fusion; and it is said."""
    plant(sample_url)
    configure(tmp_path, REDACT)
    with reranking_server() as (url, got):
        configure(tmp_path, f'{REDACT}[rerankers]\naway = "{kind}:{url}"\n')
        sides = ("-A", "away", "-B", "bm25", "-B", "rrf:bm25+away")
        out = succeeded(cli("replay", "--last", "2", *sides, "--noise", "--latency", "2", env=database | plugin))
    sent = json.dumps(got, ensure_ascii=False)
    assert len(got) > 10
    assert [secret for secret in PLANTED if secret in sent] == []
    assert all(f"[{name}]" in sent for name in ("email", "phone", "card", "key"))
    summary = out[out.index("summary of run") :]
    assert summary.count("saw redacted texts") == 2
    document = json.loads(succeeded(cli("show", "--format", "json", env=database)))
    validate(document)
    assert [side.get("redacted") for side in document["sides"]] == [True, None, True]


def test_without_redaction_texts_leave_as_they_are(
    cli: Cli, database: Environment, sample_url: str, plugin: Environment
) -> None:
    """The proof above proves something: the same planted texts do arrive where [privacy] names nothing."""
    plant(sample_url)
    with reranking_server() as (url, got):
        cli("replay", "--last", "1", "-B", f"remote:{url}", *QUICK, env=database | plugin)
    assert all(secret in json.dumps(got, ensure_ascii=False) for secret in PLANTED)


def test_local_sides_see_what_production_saw(cli: Cli, database: Environment, sample_url: str, tmp_path: Path) -> None:
    """Redaction for remote sides changes nothing for a local one: same rankings, byte for byte."""
    plant(sample_url)
    arguments = ("replay", "--last", "2", "-A", "bm25", "-B", "cosine", "--format", "json", *QUICK)
    plain = json.loads(succeeded(cli(*arguments, env=database)))
    configure(tmp_path, REDACT)
    assert json.loads(succeeded(cli(*arguments, env=database)))["sessions"] == plain["sessions"]


def test_a_side_that_does_not_say_gets_redacted_texts(
    cli: Cli, database: Environment, plugin: Environment, tmp_path: Path
) -> None:
    """What a plugin leaves unsaid is taken for the most."""
    configure(tmp_path, REDACT)
    out = succeeded(cli("replay", "--last", "1", "-B", "silent", *QUICK, env=database | plugin))
    assert out.count("saw redacted texts") == 1


def validate(document: Any) -> None:
    """Against the schema that is shipped."""
    schema = json.loads((files("shadowdiff.render") / "run-1.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(document)


OFFLINE_HINT = ", and [privacy] offline allows databases only"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["-B", "remote:http://127.0.0.1:9/"],
            "side B: 'remote:http://127.0.0.1:9/' would contact http://127.0.0.1:9/",
        ),
        (["-A", "pooled:http://127.0.0.1:9/"], "side A: 'pooled:http://127.0.0.1:9/' would contact"),
        (["-B", "st:acme/no-such-model"], "'st:acme/no-such-model' would contact the Hugging Face hub, as there is no"),
        (["-B", "rrf:cosine+st:acme/no-such-model"], "side B: 'st:acme/no-such-model' would contact the Hugging Face"),
        (["-B", "bm25", "-B", "rrf:cosine+away"], "side C: 'remote:http://127.0.0.1:9/' would contact"),
        (["-B", "silent"], "declare `network = None` in it if it opens no connection"),
    ],
)
def test_offline_refuses_what_would_connect(
    cli: Cli,
    database: Environment,
    plugin: Environment,
    guarded: Environment,
    tmp_path: Path,
    arguments: list[str],
    expected: str,
) -> None:
    """By file or by variable: exit 2, the side and what it would contact; nothing is contacted, computed or stored."""
    both = os.pathsep.join([guarded["PYTHONPATH"], plugin["PYTHONPATH"]])
    env = database | guarded | {"PYTHONPATH": both}
    configure(tmp_path, '[rerankers]\naway = "remote:http://127.0.0.1:9/"\n[privacy]\noffline = true\n')
    by_file = cli("replay", *arguments, env=env)
    configure(tmp_path, '[rerankers]\naway = "remote:http://127.0.0.1:9/"\n')
    by_variable = cli("replay", *arguments, env=env | {"SHADOWDIFF_OFFLINE": "1"})
    assert (by_file.code, by_file.out, by_file.err) == (2, "", by_variable.err)
    assert expected in by_file.err
    assert OFFLINE_HINT in by_file.err
    assert len(by_file.err.splitlines()) == 1
    assert not (tmp_path / "guard.log").exists()
    assert "no run is stored yet" in cli("runs", env=database).out


def test_offline_refuses_a_remote_side_of_a_resumed_run(
    cli: Cli, database: Environment, sample_url: str, plugin: Environment, tmp_path: Path
) -> None:
    """A run that began online is not gone on with offline, nor with other redaction than it began with."""
    with reranking_server() as (url, got):
        succeeded(cli("replay", "--last", "2", "-B", f"remote:{url}", *QUICK, env=database | plugin))
        engine = store_engine(sample_url)
        with engine.begin() as connection:
            connection.execute(text("UPDATE shadowdiff.runs SET status = 'interrupted'"))
        engine.dispose()
        before = len(got)
        offline = cli("replay", "--resume", "latest", env=database | plugin | {"SHADOWDIFF_OFFLINE": "1"})
        configure(tmp_path, REDACT)
        redacted = cli("replay", "--resume", "latest", env=database | plugin)
        assert len(got) == before
    assert offline.code == redacted.code == 2
    assert "side B: 'remote:http" in offline.err
    assert "[privacy] redacts for other sides than it did when the run began; start a new run" in redacted.err


def test_local_models_look_nothing_up(cli: Cli, database: Environment, guarded: Environment, tmp_path: Path) -> None:
    """Offline, every local kind ranks, the sentence-transformers one too, and none tries to reach anything."""
    pytest.importorskip("sentence_transformers")
    save_tiny_cross_encoder(tmp_path / "tiny")
    configure(tmp_path, "[privacy]\noffline = true\n")
    sides = (
        "-A",
        "cosine",
        "-B",
        f"onnx:{MODEL},max_length=96",
        "-B",
        "st:tiny,device=cpu",
        "-B",
        "rrf:cosine+bm25",
        "-B",
        "served",
    )
    arguments = ("--last", "1", "--pool", "3", *sides, *QUICK)
    out = succeeded(cli("replay", *arguments, env=database | guarded))
    assert "st:tiny" in out
    assert not (tmp_path / "guard.log").exists()


def test_the_guard_sees_a_model_id_being_looked_up(guarded: Environment, tmp_path: Path) -> None:
    """The proof above proves something: the library that fetches models does run into the guard."""
    pytest.importorskip("huggingface_hub")
    looked_up = "from huggingface_hub import HfApi; HfApi().model_info('acme/no-such-model', timeout=1)"
    environment = clean_environment(tmp_path) | guarded
    finished = subprocess.run([sys.executable, "-c", looked_up], env=environment, capture_output=True, check=False)
    assert finished.returncode != 0
    assert (tmp_path / "guard.log").read_text()


def test_offline_refuses_an_embedder_by_id(cli: Cli, empty_url: str) -> None:
    """Before the bundle is read."""
    env = {"SHADOWDIFF_DATABASE_URL": empty_url, "SHADOWDIFF_OFFLINE": "1"}
    finished = cli("load", SAMPLE, "--embedder", "st:acme/no-such-model", env=env)
    assert finished.code == 2
    assert "--embedder st:acme/no-such-model would contact the Hugging Face hub" in finished.err


@pytest.mark.parametrize(
    "extra", [[], ["--format", "json", "--full-rankings"], ["--only-changed", "--sort", "contrast"]]
)
@pytest.mark.parametrize("privacy", ["store_text = false", 'redact = ["email"]\nredact_stored = true'])
def test_show_renders_what_replay_did(
    cli: Cli, database: Environment, sample_url: str, tmp_path: Path, privacy: str, extra: list[str]
) -> None:
    """Also without stored texts, or with redacted ones: they are the same both times."""
    plant(sample_url)
    configure(tmp_path, f"[privacy]\n{privacy}\n")
    out = succeeded(cli("replay", "--last", "3", "-A", "cosine", "-B", "bm25", *extra, *QUICK, env=database))
    assert succeeded(cli("show", *extra, env=database)) == out
    assert ("joe@example.com" in out) is (privacy == "store_text = false")


def test_a_run_without_texts_reads_like_one_with_them(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """Apart from ids and times the JSON is the same, texts included, while the source has them."""
    arguments = ("replay", "--last", "3", "-A", "cosine", "-B", "bm25", "--format", "json", *QUICK)
    plain = json.loads(succeeded(cli(*arguments, env=database)))
    configure(tmp_path, "[privacy]\nstore_text = false\n")
    bare = json.loads(succeeded(cli(*arguments, env=database)))
    assert bare["sessions"] == plain["sessions"]
    assert bare["summary"]["pairs"] == plain["summary"]["pairs"]


def test_texts_that_cannot_be_fetched(
    cli: Cli, database: Environment, sample_url: str, sample: Bundle, tmp_path: Path
) -> None:
    """Changed in the source: said beside the turn and in one warning. Source away: ids, one warning, exit 0."""
    configure(tmp_path, "[privacy]\nstore_text = false\n[database]\nretry_for = 0\n")
    succeeded(cli("replay", "--last", "2", "-A", "cosine", "-B", "bm25", "--only-changed", *QUICK, env=database))
    engine = store_engine(sample_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE shadowdiff.turns SET query = query || '!'"))
    engine.dispose()
    changed = cli("show", "--width", "160", env=database)
    assert changed.code == 0
    assert "(text not stored; changed in the source since)" in changed.out
    assert len(changed.err.splitlines()) == 1
    assert "the source no longer has all of them as they were ranked: " in changed.err
    away = {"SHADOWDIFF_DATABASE_URL": "postgresql://me@127.0.0.1:1/rag", "SHADOWDIFF_STORE_URL": sample_url}
    finished = cli("show", "--format", "json", env=away)
    assert finished.code == 0
    assert len(finished.err.splitlines()) == 1
    assert "this run stored no texts, and the source cannot be read, so ids are shown: " in finished.err
    document = json.loads(finished.out)
    validate(document)
    turns = [turn for session in document["sessions"] for turn in session["turns"]]
    assert {(turn["query"], turn["missing_text"]) for turn in turns} == {("", "not stored")}
    assert not any(turn.query in finished.out for session in sample.sessions for turn in session.turns)


def test_a_bad_pattern_names_file_and_pattern(cli: Cli, database: Environment, tmp_path: Path) -> None:
    """Exit 2 in one line, whatever command it is."""
    configure(tmp_path, "[privacy.patterns]\nticket = 'T-('\n")
    finished = cli("runs", env=database)
    assert finished.code == 2
    assert finished.err.startswith("shadowdiff: error: shadowdiff.toml: [privacy] patterns: 'ticket' is not a regular")
