"""Options of every command that renders a run, and the way from a stored run to stdout or a file."""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from shadowdiff.errors import ConfigError, ExitCode
from shadowdiff.render.formats import FORMATS, renderer_for

if TYPE_CHECKING:
    from shadowdiff.cli.invocation import Invocation
    from shadowdiff.nights import Surroundings
    from shadowdiff.protocols import Renderer
    from shadowdiff.records import SessionOutcome
    from shadowdiff.render.lines import Line
    from shadowdiff.runs import Run
    from shadowdiff.store.runs import RunStore

WIDTH_IN_A_PIPE = 100
MIN_WIDTH = 40
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""How the system says that what was written has no place, or none that works."""
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """What to see, and where."""

    format: str = "terminal"
    output: Path | None = None
    width: int | None = None
    color: str = "auto"
    only_changed: bool = False
    sort: str = "time"
    full_rankings: bool = False


PLACE_OPTIONS = (
    click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE, not stdout."),
    click.option("--width", type=click.IntRange(min=MIN_WIDTH), metavar="N", help="Columns; default: the terminal's."),
    click.option(
        "--color",
        type=click.Choice(("auto", "always", "never")),
        default="auto",
        show_default=True,
        help="Colour; auto: on a terminal without NO_COLOR.",
    ),
)


def place_options(function: F) -> F:
    """Add where to write, how wide and in which colours: `output`, `width` and `color`."""
    for option in reversed(PLACE_OPTIONS):
        function = option(function)
    return function


def kind_option(*kinds: str) -> Callable[[F], F]:
    """`--format` as `kind`, of a command that does not render a run; the first one is the default."""
    return click.option(
        "--format", "kind", type=click.Choice(kinds), default=kinds[0], show_default=True, help="What to write."
    )


def output_options(function: F) -> F:
    """Add the options that OutputOptions collects."""
    options = (
        click.option(
            "--format", type=click.Choice(FORMATS), default="terminal", show_default=True, help="What to write."
        ),
        *PLACE_OPTIONS,
        click.option(
            "--only-changed", is_flag=True, help="Leave out turns on which every side surfaced the same entries."
        ),
        click.option(
            "--sort",
            type=click.Choice(("time", "contrast")),
            default="time",
            show_default=True,
            help="Oldest session first, or the one that differs most.",
        ),
        click.option("--full-rankings", is_flag=True, help="JSON, CSV: whole pools, not only surfaced entries."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def taken(options: dict[str, Any]) -> OutputOptions:
    """Collect (and remove) the output options from a command's keyword arguments."""
    return OutputOptions(**{name: options.pop(name) for name in OutputOptions.__slots__})


def summed(run: Run, store: RunStore) -> Run:
    """A stored run with its summary, made now where it did not come to its end."""
    if run.summary is not None:
        return run
    from shadowdiff.replay.results import summarise

    return replace(run, summary=summarise(run, store))


def write_run(
    run: Run,
    invocation: Invocation,
    options: OutputOptions,
    surroundings: Surroundings | None = None,
    session_ids: Sequence[str] | None = None,
) -> None:
    """Render a stored run, or these of its sessions, and what stands beside it; texts from the source if need be.

    Raises ConfigError when the file cannot be written, or the run has not replayed a session.
    """
    with opened(options.output) as out:
        chosen = chosen_outcomes(run, invocation.store, options, session_ids)
        chosen_renderer(options, out, surroundings).render(run, with_texts(run, invocation, chosen), out)


def chosen_renderer(options: OutputOptions, out: TextIO, surroundings: Surroundings | None = None) -> Renderer:
    """The renderer of the chosen format, as wide and as colourful as `out` is."""
    return renderer_for(
        options.format,
        width=options.width or width_of(out),
        color=colored(options.color, out),
        full_rankings=options.full_rankings,
        only_changed=options.only_changed,
        surroundings=surroundings,
    )


def with_texts(run: Run, invocation: Invocation, outcomes: Iterator[SessionOutcome]) -> Iterator[SessionOutcome]:
    """The outcomes with texts from the source where the run stored none; warns at the end of those that are missing."""
    if run.config.store_text:
        yield from outcomes
        return
    from shadowdiff import diagnostics
    from shadowdiff.replay.texts import SourceTexts

    texts = SourceTexts(lambda: invocation.source)
    yield from texts.filled(outcomes)
    for warning in texts.warnings():
        diagnostics.warning(warning)


def chosen_outcomes(
    run: Run, store: RunStore, options: OutputOptions, session_ids: Sequence[str] | None = None
) -> Iterator[SessionOutcome]:
    """The sessions of a stored run, all or these, that the options ask for, in the order that they ask for."""
    from shadowdiff.diff import only_changed
    from shadowdiff.replay.results import outcomes

    wanted = list(dict.fromkeys(session_ids)) if session_ids else None
    ordered = _by_contrast(run, store, wanted) if options.sort == "contrast" else wanted
    for outcome in outcomes(run, store, ordered):
        kept = only_changed(outcome) if options.only_changed else outcome
        if kept is not None:
            yield kept


def _by_contrast(run: Run, store: RunStore, session_ids: Sequence[str] | None) -> list[str]:
    """Session ids, most different first; one key per session in memory, no more."""
    from shadowdiff.diff import contrast
    from shadowdiff.replay.results import outcomes

    found = enumerate(outcomes(run, store, session_ids))
    keys = [(contrast(outcome), place, outcome.session.session_id) for place, outcome in found]
    return [session_id for _, _, session_id in sorted(keys)]


def write_lines(out: TextIO, lines: Callable[[int], Iterable[Line]], width: int | None, color: str) -> None:
    """The lines that are drawn for a width, in colours or without: as chosen, or as `out` is."""
    from shadowdiff.render.lines import painter

    paint = painter(color=colored(color, out))
    for line in lines(width or width_of(out)):
        out.write(f"{paint(line)}\n")


def width_of(out: TextIO) -> int:
    """The terminal's width, or COLUMNS, or 100 in a pipe."""
    if out.isatty() or "COLUMNS" in os.environ:
        return max(shutil.get_terminal_size((WIDTH_IN_A_PIPE, 24)).columns, MIN_WIDTH)
    return WIDTH_IN_A_PIPE


def colored(choice: str, out: TextIO) -> bool:
    """Whether to colour: as chosen, or on a terminal that is not told otherwise."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return out.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def opened(path: Path | None) -> Iterator[TextIO]:
    """stdout, or a file that appears whole or not at all; a device or a pipe is written to as it is."""
    if path is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        with _stdout_may_fail():
            yield sys.stdout
            sys.stdout.flush()
    elif path.exists() and not path.is_file():
        # To put a file in the place of /dev/null would break the machine.
        with _told(path), path.open("w", encoding="utf-8", newline="\n") as out:
            yield out
    else:
        with _whole(path.resolve() if path.is_symlink() else path) as out:
            yield out


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error


@contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    """A file beside it, put in its place once all is written."""
    with _told(path):
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with _told(path):
            with open(descriptor, "w", encoding="utf-8", newline="\n") as out:  # noqa: PTH123 a descriptor
                yield out
            temporary.chmod(0o666 & ~umask())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def require_writable(path: Path | None) -> None:
    """Raise ConfigError where a file could not be written later on; None is stdout."""
    if path is not None and not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot write {path}: there is no directory {path.parent} that may be written to")


@contextmanager
def _stdout_may_fail() -> Iterator[None]:
    """The reader has seen enough (`| head`), so nothing failed; or the disk behind it is full, which must be told.

    Either way the interpreter must not complain at exit.
    """
    try:
        yield
    except BrokenPipeError:
        write_to_nobody()
        raise click.exceptions.Exit(ExitCode.DONE) from None
    except OSError as error:
        if error.errno not in FULL:
            raise
        write_to_nobody()
        raise ConfigError(f"cannot write to stdout: {error.strerror}") from error


def write_to_nobody() -> None:
    """Nobody reads stdout any more: what is still written there goes nowhere, and fails no more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def umask() -> int:
    """What this process leaves out of the permissions of new files."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
