"""What waits for the database, so that the screen never does. Daemons all: quitting waits for none of them."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from shadowdiff.errors import ShadowdiffError

SESSIONS_HELD = 64
AGAIN_SECONDS = 3.0
"""After which a write that failed is tried again."""
STOP_SECONDS = 2.0
"""How long a stop waits for a thread that is at work; after that the process ends without it."""

T = TypeVar("T")


def in_background(work: Callable[[], T], done: Callable[[T], None], failed: Callable[[Exception], None]) -> None:
    """Do one thing in a thread of its own; what it gives, or why it does not, is told from there."""

    def run() -> None:
        try:
            result = work()
        except Exception as error:
            failed(error)
        else:
            done(result)

    threading.Thread(target=run, daemon=True, name="shadowdiff-review").start()


class Reader(Generic[T]):
    """Reads what is wanted, the most urgent first, and holds the last few."""

    def __init__(
        self, read: Callable[[str], T], done: Callable[[str], None], failed: Callable[[str, Exception], None]
    ) -> None:
        """`done` and `failed` are called from the reader's own thread, with the key."""
        self._read, self._done, self._failed = read, done, failed
        self._wanted: list[str] = []
        self._held: OrderedDict[str, T] = OrderedDict()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True, name="shadowdiff-reader")
        self._thread.start()

    def want(self, keys: Sequence[str]) -> None:
        """Read these, in this order, in place of whatever was wanted before."""
        with self._changed:
            self._wanted = list(keys)
            self._changed.notify()

    def held(self, key: str) -> T | None:
        """None while it is not read."""
        with self._changed:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def forget(self) -> None:
        """Read anew whatever is wanted from now on."""
        with self._changed:
            self._held.clear()

    def stop(self) -> None:
        """Read nothing more."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while (key := self._next()) is not None:
            try:
                result = self._read(key)
            except Exception as error:
                with self._changed:
                    self._wanted.clear()
                self._failed(key, error)
            else:
                with self._changed:
                    self._held[key] = result
                    while len(self._held) > SESSIONS_HELD:
                        self._held.popitem(last=False)
                self._done(key)

    def _next(self) -> str | None:
        with self._changed:
            while not self._stopped:
                self._wanted = [key for key in self._wanted if key not in self._held]
                if self._wanted:
                    return self._wanted[0]
                self._changed.wait()
            return None


@dataclass(frozen=True, slots=True)
class Writing:
    """Something to store."""

    what: str
    """For people: what is lost where it is not stored."""
    write: Callable[[], None]


class Writer:
    """Stores one thing after the other, and each again until it is stored: nothing is lost in silence."""

    def __init__(self, done: Callable[[Writing], None], failed: Callable[[Exception], None]) -> None:
        """Both are called from the writer's own thread."""
        self._done, self._failed = done, failed
        self._queue: deque[Writing] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self.error: ShadowdiffError | None = None
        """Why the first in the queue was not stored the last time; None where all is well."""
        self._thread = threading.Thread(target=self._run, daemon=True, name="shadowdiff-writer")
        self._thread.start()

    def put(self, writing: Writing) -> None:
        """Store this after whatever came before it."""
        with self._changed:
            self._queue.append(writing)
            self._changed.notify()

    def unsaved(self) -> list[Writing]:
        """What is not stored yet, in order."""
        with self._changed:
            return list(self._queue)

    def again(self) -> None:
        """Try again now."""
        with self._changed:
            self._changed.notify()

    def settle(self, seconds: float) -> list[Writing]:
        """Wait until all is stored, one write has failed, or the time is up; what is not stored then."""
        with self._changed:
            self._changed.wait_for(lambda: not self._queue or self.error is not None, seconds)
            return list(self._queue)

    def stop(self) -> None:
        """Store nothing more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while (writing := self._next()) is not None:
            try:
                writing.write()
            except Exception as error:
                self._fail(error)
            else:
                with self._changed:
                    self._queue.popleft()
                    self.error = None
                    self._changed.notify_all()
                self._done(writing)

    def _next(self) -> Writing | None:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._queue) or self._stopped)
            return None if self._stopped else self._queue[0]

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self.error = error if isinstance(error, ShadowdiffError) else ShadowdiffError(str(error))
            self._changed.notify_all()
        self._failed(error)
        with self._changed:
            if not self._stopped:
                self._changed.wait(AGAIN_SECONDS)
