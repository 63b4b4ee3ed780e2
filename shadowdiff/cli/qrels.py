"""Labels of a run for a command that measures: those that are stored, or a file's in their place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shadowdiff.errors import ConfigError

if TYPE_CHECKING:
    from shadowdiff.cli.invocation import Invocation
    from shadowdiff.records import Label
    from shadowdiff.runs import Run

labels_option = click.option(
    "--labels",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TREC qrels (turn_id 0 entry_id grade) in place of the labels that are stored.",
)


def labels_of(run: Run, invocation: Invocation, path: Path | None) -> list[Label]:
    """What is stored of the run's turns, or what a qrels file says of them.

    Raises ConfigError where the file says nothing of them, StoreError.
    """
    from shadowdiff.store.labels import Labels

    return Labels(invocation.store).of_run(run.run_id) if path is None else _read(path, run, invocation)


def require_qrels(path: Path | None) -> None:
    """Raise ConfigError where there is no such file: before anything is replayed for it."""
    if path is not None and not path.is_file():
        raise ConfigError(f"no qrels at {path}")


def _read(path: Path, run: Run, invocation: Invocation) -> list[Label]:
    from shadowdiff.records import Label
    from shadowdiff.sources.qrels import read_qrels

    require_qrels(path)
    sessions = invocation.store.sessions(run.run_id, with_pools=False)
    orgs = {turn.turn.turn_id: replayed.session.org_id for replayed in sessions for turn in replayed.turns}
    judged = [item for item in read_qrels(path) if item.turn_id in orgs]
    if not judged:
        raise ConfigError(
            f"{path} judges no turn of run {run.run_id}; its turns are called like {next(iter(orgs), '–')!r}"
        )
    return [Label(orgs[item.turn_id], item.turn_id, item.entry_id, item.grade, path.name) for item in judged]
