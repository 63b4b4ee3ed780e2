"""Fixtures of the whole suite: an embedded Postgres per worker, databases that no other test sees, the real CLI."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from threading import Lock

import pytest
from hypothesis import settings
from sqlalchemy import Engine, create_engine, text

from shadowdiff import embedded
from shadowdiff.database import parse_url, source_engine, store_engine
from shadowdiff.sources.bundle import Bundle, read_bundle
from shadowdiff.sources.postgres import PostgresSource
from shadowdiff.store.ingest import ingest
from shadowdiff.store.migrate import upgrade
from shadowdiff.store.runs import RunStore
from tests.strangers import Renamed, fill
from tests.warm import WarmPython

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "sample_sessions"
MODEL = SAMPLE / "models" / "minilm-l6-v3"
SHARED = ROOT.parent / "shared"
SECONDS = 240
"""What a command may take."""

settings.register_profile("shadowdiff", deadline=None)
settings.load_profile("shadowdiff")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first, whatever the order drawn: else one worker waits at the end for the other's last."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is remembered of this machine, and models as OpenVINO compiles them, stay out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@dataclass(frozen=True)
class Finished:
    """A command that ended."""

    code: int
    out: str
    err: str


Cli = Callable[..., Finished]
MakeDatabase = Callable[[str | None], str]


@pytest.fixture(scope="session")
def server_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Home of this worker's embedded server, stopped at the end."""
    home = tmp_path_factory.mktemp("home")
    hurry(embedded.ensure_running(home))
    yield home
    embedded.stop(home)


def hurry(url: str) -> None:
    """Skip what only matters when the power fails: a hundred databases are made here and thrown away."""
    admin = create_engine(parse_url(url), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("ALTER SYSTEM SET fsync = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    admin.dispose()


@pytest.fixture(scope="session")
def server_url(server_home: Path) -> str:
    """URL of this worker's embedded server."""
    return embedded.ensure_running(server_home)


@pytest.fixture(scope="session")
def sample() -> Bundle:
    """The sample bundle, read once."""
    return read_bundle(SAMPLE)


@pytest.fixture(scope="session")
def make_database(server_url: str) -> Callable[[str | None], str]:
    """Creates a database, from a template if one is named, and returns its URL."""

    def make(template: str | None = None) -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        admin = create_engine(parse_url(server_url), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            source = f" TEMPLATE {template}" if template else ""
            connection.execute(text(f"CREATE DATABASE {name}{source}"))
        admin.dispose()
        return parse_url(server_url).set(database=name).render_as_string(hide_password=False)

    return make


def _name(url: str) -> str:
    return str(parse_url(url).database)


@pytest.fixture(scope="session")
def migrated_template(make_database: Callable[[str | None], str]) -> str:
    """Name of a migrated, empty database."""
    url = make_database(None)
    engine = store_engine(url)
    upgrade(engine)
    engine.dispose()
    return _name(url)


@pytest.fixture(scope="session")
def sample_template(make_database: Callable[[str | None], str], migrated_template: str, sample: Bundle) -> str:
    """Name of a database with the sample loaded."""
    url = make_database(migrated_template)
    engine = store_engine(url)
    load(engine, sample)
    engine.dispose()
    return _name(url)


@pytest.fixture(scope="session")
def replayed_template(
    make_database: Callable[[str | None], str], sample_template: str, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Name of a database with the sample and one run of all of it: cosine against BM25."""
    url = make_database(sample_template)
    sides = ("-A", "cosine", "-B", "bm25", "--latency", "0", "--format", "jsonl")
    home = tmp_path_factory.mktemp("replayed")
    done = run_cli(home, "replay", "--last", "100", *sides, env={"SHADOWDIFF_DATABASE_URL": url})
    assert done.code == 0, done
    return _name(url)


def load(engine: Engine, bundle: Bundle) -> None:
    """Load a bundle with its embeddings, if it has them."""
    vectors = bundle.embeddings
    ingest(
        engine,
        bundle.entries,
        bundle.sessions,
        bundle.labels,
        entry_vectors=vectors.entries if vectors else None,
        turn_vectors=vectors.turns if vectors else None,
        embedding_model=vectors.model if vectors else None,
    )


@pytest.fixture
def bare_url(make_database: Callable[[str | None], str]) -> str:
    """A database without any table."""
    return make_database(None)


@pytest.fixture
def empty_url(make_database: Callable[[str | None], str], migrated_template: str) -> str:
    """A migrated database of this test's own, without sessions."""
    return make_database(migrated_template)


@pytest.fixture
def sample_url(make_database: Callable[[str | None], str], sample_template: str) -> str:
    """A database of this test's own, with the sample loaded."""
    return make_database(sample_template)


@pytest.fixture
def empty_engine(empty_url: str) -> Iterator[Engine]:
    """A writing engine on a migrated, empty database."""
    engine = store_engine(empty_url)
    yield engine
    engine.dispose()


@pytest.fixture
def stranger(bare_url: str, sample: Bundle) -> tuple[str, Renamed]:
    """A database with the sample in a schema of somebody else's, and the ids that it has there."""
    engine = store_engine(bare_url)
    names = fill(engine, sample)
    engine.dispose()
    return bare_url, names


@pytest.fixture
def sample_store(sample_url: str) -> Iterator[RunStore]:
    """The store beside the sample."""
    engine = store_engine(sample_url)
    yield RunStore(engine)
    engine.dispose()


@pytest.fixture
def sample_source(sample_url: str) -> Iterator[PostgresSource]:
    """The sample as a source, read-only."""
    engine = source_engine(sample_url)
    yield PostgresSource(engine)
    engine.dispose()


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Runs the real command line in a subprocess, in an empty directory, without the caller's environment."""
    return partial(run_cli, tmp_path)


WARM = Lock()
"""Held while the warm Python runs a command: it runs one at a time."""


def run_cli(
    home: Path, *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Finished:
    """One command in a process of its own, in `home` where nothing else is said.

    With a variable that Python reads as it starts (PYTHONPATH, PYTHONHASHSEED), or
    beside another command, a new Python is started; else the process is forked from
    one that is warm.
    """
    command, environment = list(map(str, arguments)), clean_environment(home) | dict(env or {})
    if any(name.startswith("PYTHON") for name in env or {}) or not WARM.acquire(blocking=False):
        started = [sys.executable, "-m", "shadowdiff", *command]
        where = cwd or home
        done = subprocess.run(started, capture_output=True, cwd=where, env=environment, timeout=SECONDS, check=False)
        code, out, err = done.returncode, done.stdout, done.stderr
    else:
        try:
            code, out, err = warm_python().run(command, environment, cwd or home, SECONDS)
        finally:
            WARM.release()
    return Finished(code, out.decode(), err.decode())


@cache
def warm_python() -> WarmPython:
    """This worker's."""
    warm = WarmPython()
    atexit.register(warm.stop)
    return warm


def clean_environment(home: Path) -> dict[str, str]:
    """This process's environment without anything that steers shadowdiff or colours."""
    steering = ("SHADOWDIFF_", "NO_COLOR", "FORCE_COLOR", "COLUMNS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    return kept | {"SHADOWDIFF_HOME": str(home / "unused-home")}


@pytest.fixture
def database(sample_url: str) -> dict[str, str]:
    """Environment that points the command line at the sample."""
    return {"SHADOWDIFF_DATABASE_URL": sample_url}
