"""Labels of runs for a command that measures: those that are stored, or a file's in their place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shadowdiff.errors import ConfigError, NothingToMeasureError

if TYPE_CHECKING:
    from shadowdiff.cli.invocation import Invocation
    from shadowdiff.evaluation.runs import EvaluatedRuns
    from shadowdiff.records import Label

labels_option = click.option(
    "--labels",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TREC qrels (turn_id 0 entry_id grade) in place of the labels that are stored.",
)


def labels_of(runs: EvaluatedRuns, invocation: Invocation, path: Path | None) -> list[Label]:
    """What is stored of the runs' turns, or what a qrels file says of them.

    Raises NothingToMeasureError where the file says nothing of them, ConfigError where there is none, StoreError.
    """
    from shadowdiff.store.labels import Labels

    return Labels(invocation.store).of_runs(runs.run_ids) if path is None else qrels_of(runs, invocation, path)


def require_qrels(path: Path | None) -> None:
    """Raise ConfigError where there is no such file: before anything is replayed for it."""
    if path is not None and not path.is_file():
        raise ConfigError(f"no qrels at {path}")


def qrels_of(runs: EvaluatedRuns, invocation: Invocation, path: Path, author: str = "") -> list[Label]:
    """What a qrels file says of the runs' turns, each entry once; the last line of an entry counts.

    Raises NothingToMeasureError where that is nothing, ConfigError where there is no such file, StoreError.
    """
    from shadowdiff.records import Label
    from shadowdiff.render.evaluated import runs_named
    from shadowdiff.replay.evaluated import replayed_sessions
    from shadowdiff.sources.qrels import read_qrels

    require_qrels(path)
    sessions = replayed_sessions(runs, invocation.store, with_pools=False)
    orgs = {turn.turn.turn_id: replayed.session.org_id for replayed in sessions for turn in replayed.turns}
    judged = [item for item in read_qrels(path) if item.turn_id in orgs]
    if not judged:
        raise NothingToMeasureError(
            f"{path} judges no turn of {runs_named(runs)}; turns are called like {next(iter(orgs), '–')!r}"
        )
    labels = (Label(orgs[item.turn_id], item.turn_id, item.entry_id, item.grade, path.name, author) for item in judged)
    return list({(label.turn_id, label.entry_id): label for label in labels}.values())
