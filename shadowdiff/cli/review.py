"""`shadowdiff review`: walk a stored run in the terminal, and label what is found."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shadowdiff.cli.author import author_option, user_name
from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import OutputOptions, summed, with_texts, write_run
from shadowdiff.errors import ConfigError, StoreError
from shadowdiff.terminal_screen import end_as, require_terminal

if TYPE_CHECKING:
    from shadowdiff.review.app import ReviewApp
    from shadowdiff.runs import Run

EPILOG = """\b
Examples:
  shadowdiff review
  shadowdiff review 20261120-0214
  shadowdiff review latest --author "Ann Lee"

\b
n and p walk the differences, l and a grade label the entry at hand, ? lists all keys.
Labels and comments are stored at once, in the store; other commands read them from there."""


@click.command("review", epilog=EPILOG)
@click.argument("run", metavar="[RUN]", default="latest")
@author_option("labels and comments")
@click.pass_obj
def command(invocation: Invocation, /, run: str, author: str | None) -> None:
    """Walk a stored run in the terminal: its sessions, most different first, turn by turn, entry by entry.

    RUN is a run's id, the beginning of one, or `latest`. Needs the extra `tui`.
    """
    require_terminal("review", "shadowdiff show RUN --only-changed --sort contrast")
    _refuse_without_textual()
    from tempfile import TemporaryDirectory

    from shadowdiff import diagnostics
    from shadowdiff.store.prune import require_sessions

    who = author or user_name()
    invocation.is_patient = False
    found = invocation.store.get(run)
    require_sessions(found, invocation.store)
    with TemporaryDirectory(prefix="shadowdiff-review-") as directory:
        app = _app(invocation, found, who, Path(directory))
        with diagnostics.passed_to(app.note):
            app.run()
    _finish(app)


def _app(invocation: Invocation, run: Run, author: str, directory: Path) -> ReviewApp:
    """The review of this run; a report that has to be made is made in `directory`."""
    from shadowdiff.review.app import Given, ReviewApp
    from shadowdiff.review.links import has_display, open_link
    from shadowdiff.review.stored import StoredRun

    stored = StoredRun(run, invocation.store, partial(with_texts, run, invocation))
    report = partial(_report, invocation, run, directory / "report.html")
    return ReviewApp(Given(stored, author, report, open_link if has_display() else None))


def _report(invocation: Invocation, run: Run, path: Path) -> Path:
    """The night's own report, where the run is a night's and its report is here; else one that is made now."""
    kept = _night_report(invocation, run)
    if kept is None:
        from shadowdiff.cli.show import beside_run
        from shadowdiff.nights import Surroundings

        options = OutputOptions(format="html", output=path)
        whole = summed(run, invocation.store)
        write_run(whole, invocation, options, beside_run(whole, invocation, options, Surroundings()))
    return kept or path


def _night_report(invocation: Invocation, run: Run) -> Path | None:
    from shadowdiff.store.nights import NightStore

    directory = invocation.settings.nightly.directory
    night = NightStore(invocation.store).night_of(run.run_id) if directory else None
    if directory is None or night is None:
        return None
    path = directory / night.name / "report.html"
    return path if path.is_file() else None


def _finish(app: ReviewApp) -> None:
    """Say what is not stored, and end as the review was ended."""
    from shadowdiff import diagnostics

    for what in app.lost:
        diagnostics.warning(f"not stored: {what}")
    if app.failure is not None:
        raise app.failure
    if app.signal is not None:
        end_as(app.signal)
    if app.lost:
        lost = "1 label or comment is" if len(app.lost) == 1 else f"{len(app.lost)} labels and comments are"
        raise StoreError(f"{lost} not stored: {app.reason or 'the database did not answer in time'}")


def _refuse_without_textual() -> None:
    from importlib.util import find_spec

    if find_spec("textual") is None:
        raise ConfigError("review draws with textual, which is not installed: pip install 'shadowdiff[tui]'")
