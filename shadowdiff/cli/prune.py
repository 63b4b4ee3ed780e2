"""`shadowdiff prune`: keeps the store small, and histories whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import click

from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import opened, width_of
from shadowdiff.cli.questions import confirm_removal
from shadowdiff.cli.when import When

if TYPE_CHECKING:
    from shadowdiff.runs import RunHeld
    from shadowdiff.store.prune import OldRuns, UnusedTexts

EPILOG = """\b
Examples:
  shadowdiff prune --older-than 90d --dry-run
  shadowdiff prune --older-than 90d
  0 5 * * 0  shadowdiff prune --older-than 90d --yes"""


@click.command("prune", epilog=EPILOG)
@click.option(
    "--older-than", "before", type=When(), metavar="90d|DATE", required=True, help="Runs that started before this."
)
@click.option("--dry-run", is_flag=True, help="Only list what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def command(invocation: Invocation, before: datetime, *, dry_run: bool, yes: bool) -> None:
    """Remove old runs from the store: sessions, turns, rankings, failures, and entry texts that no run names any more.

    A night's run keeps its summary, and the history every row. What stays as it is: blessed runs, runs that are being
    carried out, nights that are not done, and the last 30 days of nights of every configuration, as the next night must
    know which sessions they have replayed. Labels, comments and verdicts stay, scores too: see shadowdiff cache prune.
    """
    from shadowdiff import diagnostics
    from shadowdiff.render.listing import runs_held_table
    from shadowdiff.store.prune import NIGHTS_KEPT, OldRuns, UnusedTexts

    kept = max(NIGHTS_KEPT, invocation.settings.nightly.overlap)
    old, unused = OldRuns(invocation.store, before, kept), UnusedTexts(invocation.store)
    held = old.listed()
    found = _Amount(held, unused.without([run.run_id for run in held]))
    if not (held or found.entry_texts):
        click.echo("no stored run fits; nothing was removed")
    elif dry_run:
        with opened(None) as out:
            out.write(runs_held_table(held, width_of(out)) if held else "")
            out.write(f"this would remove {found}\n")
    else:
        confirm_removal(str(found), lambda width: runs_held_table(held, width), yes=yes)
        gone = _remove_runs(old, held)
        removed = _Amount(gone, _remove_texts(unused, found.entry_texts))
        click.echo(f"removed {removed}; the server uses the space again for what comes")
        diagnostics.note("scores are kept apart: see shadowdiff cache, and shadowdiff cache prune")


@dataclass(frozen=True, slots=True)
class _Amount:
    """How much goes, in words."""

    held: Sequence[RunHeld]
    entry_texts: int

    def __str__(self) -> str:
        """`2 runs, the sessions of 1 night (14 sessions, 61 turns) and 204 entry texts`."""
        from shadowdiff.render.sessions import counted

        nights = sum(run.night is not None for run in self.held)
        runs = len(self.held) - nights
        parts = [counted(runs, "run")] if runs else []
        parts += [f"the sessions of {counted(nights, 'night')}"] if nights else []
        sessions, turns = (sum(getattr(run, name) for run in self.held) for name in ("sessions", "turns"))
        held = f" ({counted(sessions, 'session')}, {counted(turns, 'turn')})" if parts else ""
        texts = [counted(self.entry_texts, "entry text")] if self.entry_texts else []
        return " and ".join([*([", ".join(parts) + held] if parts else []), *texts]) or "nothing"


def _remove_runs(old: OldRuns, held: Sequence[RunHeld]) -> list[RunHeld]:
    """What went of which runs; those that may not go any more are warned of."""
    from shadowdiff import diagnostics

    removed, done, total = [], 0, sum(run.sessions for run in held)
    with diagnostics.counted_progress("removing sessions") as on_progress:

        def on_removed(sessions: int) -> None:
            nonlocal done
            done += sessions
            on_progress(done, total)

        for run in held:
            gone = old.remove(run.run_id, on_removed)
            if gone is None:
                diagnostics.warning(f"run {run.run_id} was left: it is being carried out, or was blessed meanwhile")
            else:
                removed.append(replace(run, sessions=gone.sessions, turns=gone.turns))
    return removed


def _remove_texts(unused: UnusedTexts, expected: int) -> int:
    from shadowdiff import diagnostics

    done = 0
    with diagnostics.counted_progress("removing entry texts") as on_progress:

        def on_removed(number: int) -> None:
            nonlocal done
            done += number
            on_progress(done, expected)

        return unused.remove(on_removed)
