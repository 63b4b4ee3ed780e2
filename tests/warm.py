"""A process that has imported the packages of others, and forks itself for each command line of the suite.

What starts from it is a process of its own, with its own arguments, environment, directory and output, that imports
shadowdiff anew; it only need not read SQLAlchemy and its like from disk again, which is most of a command's time.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path

IMPORTED = (
    "click",
    "sqlalchemy.dialects.postgresql.psycopg",
    "psycopg",
    "pgvector.sqlalchemy",
    "numpy",
    "bm25s",
    "Stemmer",
    "rich.console",
    "rich.progress",
    "platformdirs",
    "psutil",
)
"""Nothing that starts threads, such as onnxruntime: a process forked beside them may wait for them forever."""


class WarmPython:
    """The forking process, and how to ask it for another."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parent.parent,
                start_new_session=True,
            )

    def run(self, arguments: list[str], env: Mapping[str, str], cwd: Path, timeout: float) -> tuple[int, bytes, bytes]:
        """Exit code (negative: the signal), stdout and stderr of one command. Raises TimeoutError, having killed it."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            asked = json.dumps([arguments, dict(env), str(cwd)]).encode()
            self._ours.settimeout(timeout)
            socket.send_fds(self._ours, [len(asked).to_bytes(8, "big")], [out.fileno(), err.fileno()])
            self._ours.sendall(asked)
            code = self._exit_code()
            out.seek(0)
            err.seek(0)
            return code, out.read(), err.read()

    def _exit_code(self) -> int:
        try:
            return int(self._ours.recv(16))
        except TimeoutError:
            # The next command would be told this one's exit code, and so on: one failure would be hundreds.
            os.killpg(self._process.pid, signal.SIGKILL)
            self.stop()
            self._start()
            raise

    def stop(self) -> None:
        """End it by ending its input."""
        self._ours.close()
        self._process.communicate()


def serve(asking: socket.socket) -> None:
    """Fork for every request, one after the other, until nobody asks any more."""
    for name in IMPORTED:
        import_module(name)
    gc.freeze()  # or each command looks through all of it once more as it ends
    while True:
        head, streams, _, _ = socket.recv_fds(asking, 8, 2)
        if not head:
            return
        asked = b""
        while len(asked) < int.from_bytes(head, "big"):
            asked += asking.recv(65_536)
        child = os.fork()
        if child == 0:
            asking.close()
            arguments, env, cwd = json.loads(asked)
            become(arguments, env, cwd, streams)
            return
        for stream in streams:
            os.close(stream)
        asking.sendall(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())


def become(arguments: list[str], env: dict[str, str], cwd: str, streams: list[int]) -> None:
    """Be `python -m shadowdiff` with these arguments."""
    for stream, place in zip(streams, (1, 2), strict=True):
        os.dup2(stream, place)
        os.close(stream)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv, sys.path[0] = ["shadowdiff", *arguments], cwd
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.default_int_handler)
    runpy.run_module("shadowdiff", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
