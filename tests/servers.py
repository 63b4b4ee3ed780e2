"""Servers of a test's own, to be stopped, killed and listened to; and what may stand before and behind them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import create_engine, text

from shadowdiff import embedded
from shadowdiff.database import parse_url, source_engine

UNPRIVILEGED = "pgserver" if hasattr(os, "geteuid") and os.geteuid() == 0 else None
"""Postgres does not run as root; the embedded server makes this user then."""


@dataclass(frozen=True)
class OwnServer:
    """An embedded server in a home of its own."""

    home: Path

    def start(self) -> str:
        """Its URL, started first if it is not running."""
        return embedded.ensure_running(self.home)

    def kill(self) -> None:
        """As a crash: every session is cut off, nothing is written down."""
        pid = int((embedded.data_directory(self.home) / "postmaster.pid").read_text().split()[0])
        postmaster = psutil.Process(pid)
        os.kill(pid, signal.SIGQUIT)
        postmaster.wait(30)

    def stop(self) -> None:
        """Stop it for good."""
        embedded.stop(self.home)

    @property
    def environment(self) -> dict[str, str]:
        """What points the command line at it."""
        return {"SHADOWDIFF_DATABASE_URL": self.start()}


def execute(url: str, *statements: str) -> None:
    """Each statement by itself, as the owner."""
    engine = create_engine(parse_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def run_sql(url: str, sql: str) -> None:
    """A whole script in one transaction, as the owner runs it; colons and per cent signs are its own."""
    engine = create_engine(parse_url(url))
    with engine.begin() as connection:
        connection.exec_driver_sql(sql, execution_options={"no_parameters": True})
    engine.dispose()


def until(what: str, is_so: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for something to become so."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening(command: Callable[[int], Sequence[str]], **options: Any) -> tuple[subprocess.Popen[bytes], int]:
    """A server that listens on the port that it is started with, and that port; `options` are those of Popen.

    Another program may take a free port before the server does: then the server ends, and is started on another.
    """
    for _ in range(5):
        port = free_port()
        process: subprocess.Popen[bytes] = subprocess.Popen(
            list(command(port)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
        )
        until("a server to listen", lambda process=process: process.poll() is not None or listens(process))  # type: ignore[misc]
        if process.poll() is None:
            return process, port
    raise AssertionError(f"it ends by itself: {command(0)}")


def listens(process: subprocess.Popen[bytes]) -> bool:
    """Whether it does, itself, on any port."""
    with suppress(psutil.Error):
        found = psutil.Process(process.pid).net_connections("tcp")
        return any(each.status == psutil.CONN_LISTEN for each in found)
    return False


@contextmanager
def nobody() -> Iterator[str]:
    """URL of a port on which nobody listens, nor will while this lasts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def is_up(url: str) -> bool:
    """Whether the server answers."""
    engine = source_engine(url)
    try:
        with engine.connect() as connection:
            return bool(connection.scalar(text("SELECT 1")) == 1)
    except Exception:
        return False
    finally:
        engine.dispose()


def bouncer_program() -> str | None:
    """PgBouncer, where it is installed."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@dataclass(frozen=True)
class Bouncer:
    """PgBouncer in transaction mode, with fewer connections to the server than it is asked for."""

    process: subprocess.Popen[bytes]
    url: str

    @classmethod
    def before(cls, url: str, directory: Path) -> Bouncer:
        """Start it before this server."""
        server, settings = parse_url(url), directory / "pgbouncer.ini"
        _open_to_all(directory)

        def command(port: int) -> list[str]:
            settings.write_text(
                f"[databases]\n{server.database} = host={server.query['host']} port={server.query['port']} "
                "user=postgres\n"
                f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n"
                f"pool_mode = transaction\ndefault_pool_size = 2\nunix_socket_dir =\nlogfile = {directory}/log\n",
                encoding="utf-8",
            )
            return [str(bouncer_program()), "-q", str(settings)]

        process, port = listening(command, user=UNPRIVILEGED, cwd=directory)
        bouncer = cls(process, f"postgresql://anybody@127.0.0.1:{port}/{server.database}")
        until("pgbouncer", lambda: is_up(bouncer.url))
        return bouncer

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


@dataclass(frozen=True)
class Standby:
    """A hot standby that follows a primary and cancels queries that stand in its way at once."""

    process: subprocess.Popen[bytes]
    url: str

    @classmethod
    def of(cls, url: str, directory: Path) -> Standby:
        """Copy the primary, and follow it."""
        primary = parse_url(url)
        # Each major version of the server has a directory of its own, and the copy needs the same one.
        programs = _running_programs(int(_postmaster_pid(Path(str(primary.query["host"])))))
        _open_to_all(directory)
        where = ["-h", str(primary.query["host"]), "-p", str(primary.query["port"]), "-U", "postgres"]
        copy = [str(programs / "pg_basebackup"), *where, "-D", str(directory / "copy"), "-R", "-X", "stream"]
        subprocess.run([*copy, "-c", "fast"], check=True, user=UNPRIVILEGED, cwd=directory, stderr=subprocess.DEVNULL)
        options = ["-h", "", "-k", str(directory), "-p", "5432", "-c", "max_standby_streaming_delay=0"]
        process = subprocess.Popen(
            [str(programs / "postgres"), "-D", str(directory / "copy"), *options],
            user=UNPRIVILEGED,
            cwd=directory,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        standby = primary.set(query={"host": str(directory), "port": "5432"})
        found = cls(process, standby.render_as_string(hide_password=False))
        until("the standby", lambda: is_up(found.url))
        return found

    def stop(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()


def _open_to_all(directory: Path) -> None:
    """Make it, for whoever the server runs as; pytest's own directories are closed to others."""
    directory.parent.chmod(0o755)
    directory.mkdir()
    directory.chmod(0o777)


def _postmaster_pid(directory: Path) -> str:
    return (directory / "postmaster.pid").read_text(encoding="utf-8").split()[0]


def _running_programs(pid: int) -> Path:
    return Path(psutil.Process(pid).exe()).parent
