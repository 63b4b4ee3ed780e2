"""Labels of runs for a command that measures: those that are stored, or a file's in their place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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


class FileLabels(NamedTuple):
    """What a qrels file says."""

    labels: list[Label]
    """Of the runs' turns, each entry once."""
    elsewhere: int
    """Lines about turns that the runs do not have."""


def labels_of(runs: EvaluatedRuns, invocation: Invocation, path: Path | None) -> list[Label]:
    """What is stored of the runs' turns, or what a qrels file says of them.

    Raises NothingToMeasureError where the file says nothing of them, ConfigError where there is none, StoreError.
    """
    from shadowdiff.store.labels import Labels

    return Labels(invocation.store).of_runs(runs.run_ids) if path is None else qrels_of(runs, invocation, path).labels


def require_qrels(path: Path | None) -> None:
    """Raise ConfigError where there is no such file, or pipe: before anything is replayed for it."""
    if path is not None and (path.is_dir() or not path.exists()):
        raise ConfigError(f"no qrels at {path}")


def qrels_of(runs: EvaluatedRuns, invocation: Invocation, path: Path, author: str = "") -> FileLabels:
    """What a qrels file says of the runs' turns; the last line of an entry counts. Warns where another one differs.

    Raises NothingToMeasureError where that is nothing, ConfigError where there is no such file, StoreError.
    """
    from shadowdiff.records import Label
    from shadowdiff.render.evaluated import runs_named
    from shadowdiff.replay.evaluated import replayed_sessions
    from shadowdiff.sources.qrels import read_qrels

    require_qrels(path)
    sessions = replayed_sessions(runs, invocation.store, with_pools=False)
    orgs = {turn.turn.turn_id: replayed.session.org_id for replayed in sessions for turn in replayed.turns}
    every = list(read_qrels(path))
    judged = [item for item in every if item.turn_id in orgs]
    if not judged:
        raise NothingToMeasureError(
            f"{path} judges no turn of {runs_named(runs)}; turns are called like {next(iter(orgs), '–')!r}"
        )
    labels = [Label(orgs[item.turn_id], item.turn_id, item.entry_id, item.grade, path.name, author) for item in judged]
    last = {(label.turn_id, label.entry_id): label for label in labels}
    _warn_of_contradictions(path, labels, last)
    return FileLabels(list(last.values()), len(every) - len(judged))


def _warn_of_contradictions(path: Path, labels: Iterable[Label], last: Mapping[tuple[str, str], Label]) -> None:
    from shadowdiff import diagnostics

    keys = ((label, (label.turn_id, label.entry_id)) for label in labels)
    if found := len({key for label, key in keys if label.grade != last[key].grade}):
        entries = "1 entry is" if found == 1 else f"{found:,} entries are"
        diagnostics.warning(f"{path.name}: {entries} graded twice, and not alike; the last line counts")
