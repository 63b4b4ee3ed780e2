"""Something worked out in another thread while this one goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """A value in the making. The thread is a daemon: after Ctrl-C nobody waits for what it was about to find out."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._found: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()
        self._work = work
        threading.Thread(target=self._carry_out, daemon=True).start()

    def result(self) -> T:
        """Wait for the value, once. Raises what the work raised."""
        value, error = self._found.get()
        if error is not None:
            raise error
        return value  # type: ignore[return-value]

    def _carry_out(self) -> None:
        try:
            self._found.put((self._work(), None))
        except BaseException as error:
            self._found.put((None, error))
