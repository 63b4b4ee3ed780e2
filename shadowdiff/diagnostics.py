"""The only writer to stderr: errors, warnings, notes and progress. A good run that nobody watches is silent."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shadowdiff.render.text import visible

if TYPE_CHECKING:
    from shadowdiff.replay.execute import Progress


def error(message: str) -> None:
    """One plain line: what failed, on what, what to do."""
    _line(f"shadowdiff: error: {message}")


def warning(message: str) -> None:
    """Something that the figures should be read with; said whether anybody watches or not."""
    _line(f"shadowdiff: warning: {message}")


def note(message: str) -> None:
    """Narration, for people only."""
    if is_watched():
        _line(message)


def is_watched() -> bool:
    """Whether stderr is a terminal."""
    return sys.stderr.isatty()


@contextmanager
def replay_progress() -> Iterator[Callable[[Progress], None]]:
    """A progress bar on stderr while a run is carried out; nothing when stderr is not a terminal."""
    if not is_watched():
        yield lambda progress: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("{task.fields[turns]} turns · {task.fields[rate]} pairs/s ·"),
        TimeElapsedColumn(),
        TextColumn("· left"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True, expand=True) as bar:
        task = bar.add_task("replaying", total=None, turns=0, rate="–")

        def show(progress: Progress) -> None:
            elapsed = bar.tasks[0].elapsed or 0.0
            rate = f"{progress.pairs_done / elapsed:,.0f}" if elapsed and progress.pairs_done else "–"
            bar.update(
                task, total=progress.sessions, completed=progress.sessions_done, turns=progress.turns_done, rate=rate
            )

        yield show


@contextmanager
def counted_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar over a known count; called with (done, total)."""
    if not is_watched():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


_takers: list[Callable[[str], None]] = []
"""Who is told instead of stderr: the last one."""


@contextmanager
def passed_to(tell: Callable[[str], None]) -> Iterator[None]:
    """While a screen is drawn on the terminal, tell it every line instead, from whichever thread it comes."""
    _takers.append(tell)
    try:
        yield
    finally:
        _takers.remove(tell)


def _line(message: str) -> None:
    if _takers:
        _takers[-1](message)
        return
    print(visible(message), file=sys.stderr, flush=True)  # noqa: T201 this module owns stderr
