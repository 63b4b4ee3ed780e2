"""What reads and stores in the background: order, what is held, what is tried again."""

from __future__ import annotations

import threading
from queue import Queue
from typing import TYPE_CHECKING

from shadowdiff.errors import StoreError
from shadowdiff.review import threads
from shadowdiff.review.threads import SESSIONS_HELD, Reader, Writer, Writing

if TYPE_CHECKING:
    import pytest

SECONDS = 30


def test_the_reader_reads_what_is_wanted_now() -> None:
    """The newest wish replaces the ones before; what is held is not read again; only the last few are held."""
    begun, go_on = threading.Event(), threading.Event()
    reads: list[str] = []
    done: Queue[str] = Queue()

    def read(key: str) -> str:
        reads.append(key)
        begun.set()
        assert go_on.wait(SECONDS)
        return key.upper()

    reader = Reader(read, done.put, lambda key, error: done.put(f"{key}: {error}"))
    reader.want(["a", "x", "y"])
    assert begun.wait(SECONDS)
    reader.want(["b", "a", "c"])
    go_on.set()
    assert [done.get(timeout=SECONDS) for _ in range(3)] == ["a", "b", "c"]
    assert (reads, reader.held("a"), reader.held("x")) == (["a", "b", "c"], "A", None)
    many = [f"k{number}" for number in range(SESSIONS_HELD)]
    reader.want(many)
    assert [done.get(timeout=SECONDS) for _ in many] == many
    assert reader.held("a") is None
    assert reader.held(many[0]) == many[0].upper()
    reader.forget()
    assert reader.held(many[0]) is None
    reader.stop()


def test_the_reader_gives_up_what_it_cannot_read_and_goes_on() -> None:
    """Why is told; the wish is dropped, so that nothing is asked again and again."""
    told: Queue[str] = Queue()

    def read(key: str) -> str:
        if key == "bad":
            raise StoreError("it is away")
        return key

    reader = Reader(read, told.put, lambda key, error: told.put(f"{key}: {error}"))
    reader.want(["bad", "next"])
    assert told.get(timeout=SECONDS) == "bad: it is away"
    reader.want(["good"])
    assert told.get(timeout=SECONDS) == "good"
    assert told.empty()
    reader.stop()


def test_the_writer_stores_in_order_and_again_until_it_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came later waits for what came first; settling tells what is left as soon as something fails."""
    monkeypatch.setattr(threads, "AGAIN_SECONDS", float(SECONDS))
    told: Queue[str] = Queue()
    is_away = threading.Event()
    is_away.set()
    stored: list[str] = []

    def write(name: str) -> None:
        if is_away.is_set():
            raise StoreError("it is away")
        stored.append(name)

    writer = Writer(lambda writing: told.put(writing.what), lambda error: told.put(str(error)))
    first, second = (Writing(name, lambda name=name: write(name)) for name in ("first", "second"))  # type: ignore[misc]
    writer.put(first)
    writer.put(second)
    assert told.get(timeout=SECONDS) == "it is away"
    assert writer.settle(SECONDS) == writer.unsaved() == [first, second]
    assert str(writer.error) == "it is away"
    is_away.clear()
    writer.again()
    assert [told.get(timeout=SECONDS) for _ in range(2)] == ["first", "second"]
    assert (writer.settle(SECONDS), stored, writer.error) == ([], ["first", "second"], None)
    writer.stop()
