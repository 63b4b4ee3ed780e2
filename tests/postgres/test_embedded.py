"""The embedded server: on demand, shared, stopped cleanly, and not stopped by anything else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text

from shadowdiff import embedded
from shadowdiff.errors import StoreError
from tests.servers import until

START = (
    "import sys, pathlib; from shadowdiff import embedded; print(embedded.ensure_running(pathlib.Path(sys.argv[1])))"
)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home of this test's own, its server stopped at the end."""
    yield tmp_path / "home"
    embedded.stop(tmp_path / "home")


def answers(url: str) -> bool:
    """Whether a query comes back."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = list(connection.scalars(text("SELECT 1")))
    engine.dispose()
    return found == [1]


def postmaster(home: Path) -> psutil.Process:
    """The running server's main process."""
    return psutil.Process(int((embedded.data_directory(home) / "postmaster.pid").read_text().splitlines()[0]))


def test_started_on_demand_and_stopped_without_a_trace(home: Path) -> None:
    """The first use starts it, stop ends every process of it, and stopping twice is no error."""
    assert embedded.running_url(home) is None
    assert answers(embedded.ensure_running(home))
    processes = [postmaster(home), *postmaster(home).children()]
    assert embedded.stop(home) is True
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert alive == []
    assert embedded.stop(home) is False


def test_concurrent_commands_share_one_server(home: Path) -> None:
    """Commands that start at the same moment end up on one server."""
    with ThreadPoolExecutor(4) as pool:
        started = list(pool.map(lambda _: start_elsewhere(home), range(4)))
    assert len({process.stdout.strip() for process in started}) == 1
    assert all(process.returncode == 0 for process in started)
    assert answers(started[0].stdout.strip())


def start_elsewhere(home: Path) -> subprocess.CompletedProcess[str]:
    """Start the server from another process."""
    return subprocess.run([sys.executable, "-c", START, str(home)], capture_output=True, text=True, check=False)


def test_survives_the_death_of_the_command_that_started_it(home: Path) -> None:
    """`kill -9` of a command leaves the server usable for the next one."""
    waits = START + "; sys.stdout.flush(); import time; time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", waits, str(home)], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        url = command.stdout.readline().strip()
        command.kill()
    assert embedded.ensure_running(home) == url
    assert answers(url)


def test_recovers_from_kill_9_of_the_server(home: Path) -> None:
    """What was committed is there after the server was killed and started again."""
    engine = create_engine(embedded.ensure_running(home))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE kept AS SELECT 42 AS answer"))
    engine.dispose()
    server = postmaster(home)
    server.send_signal(signal.SIGKILL)
    server.wait(60)
    engine = create_engine(embedded.ensure_running(home))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT answer FROM kept")) == 42
    engine.dispose()


def test_a_stale_pid_of_another_program_is_not_taken_for_the_server(home: Path) -> None:
    """After a reboot the old pid may belong to anything: here to this very test."""
    embedded.ensure_running(home)
    pid_file = embedded.data_directory(home) / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    embedded.stop(home)
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert embedded.running_url(home) is None
    assert answers(embedded.ensure_running(home))


def test_a_half_written_pid_file_does_not_stop_it(home: Path) -> None:
    """A machine that died while the server started leaves a short file behind."""
    embedded.ensure_running(home)
    embedded.stop(home)
    (embedded.data_directory(home) / "postmaster.pid").write_text("123")
    assert embedded.running_url(home) is None
    assert answers(embedded.ensure_running(home))


def test_a_server_that_takes_its_time_to_start_is_waited_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a crash, or on a busy machine: its file says that it starts."""
    url = embedded.ensure_running(home)
    pid_file = embedded.data_directory(home) / "postmaster.pid"
    ready = pid_file.read_text()
    pid_file.write_text(ready.replace("ready", "starting"))
    pauses = iter((None, None, ready))

    def pause(_seconds: float) -> None:
        if (written := next(pauses)) is not None:
            pid_file.write_text(written)

    monkeypatch.setattr("shadowdiff.embedded.time.sleep", pause)
    assert embedded.ensure_running(home) == url


def test_a_first_start_that_was_killed_is_begun_anew(home: Path) -> None:
    """However far it came: what it left is no data directory."""
    with subprocess.Popen([sys.executable, "-c", START, str(home)], stdout=subprocess.PIPE) as command:
        until("the data directory to be made", lambda: any(home.glob("*/PG_VERSION")))
        starter = psutil.Process(command.pid)
        for process in [starter, *starter.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
    assert answers(embedded.ensure_running(home))


def test_an_unusable_home_is_one_plain_line(tmp_path: Path) -> None:
    """A home that cannot be a directory says what to set instead."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StoreError, match="set SHADOWDIFF_HOME"):
        embedded.ensure_running(blocked / "home")


def test_a_server_that_cannot_start_names_its_log(home: Path) -> None:
    """A broken data directory says where to look, within seconds and without a traceback."""
    directory = embedded.data_directory(home)
    embedded.ensure_running(home)
    embedded.stop(home)
    (directory / "global" / "pg_control").unlink()
    with pytest.raises(StoreError, match="did not start"):
        embedded.ensure_running(home)
