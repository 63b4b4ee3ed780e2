"""`shadowdiff label`: say how relevant entries are, one key each, without knowing which side surfaced them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shadowdiff.cli.author import author_option, user_name
from shadowdiff.cli.evaluate import relevance_option
from shadowdiff.cli.given import given_options
from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import colored, kind_option, opened, place_options, with_texts, write_lines
from shadowdiff.errors import ConfigError, StoreError
from shadowdiff.labelling.grades import GRADED, SCALES
from shadowdiff.runs import RunStatus
from shadowdiff.terminal_screen import require_terminal

if TYPE_CHECKING:
    from shadowdiff.labelling.pooled import Choice, EntryKey, TurnToLabel
    from shadowdiff.labelling.report import LabellingReport
    from shadowdiff.labelling.sitting import Sitting
    from shadowdiff.labelling.terminal import Given
    from shadowdiff.records import ReplayedTurn
    from shadowdiff.render.labelling import Texts
    from shadowdiff.runs import Run

EPILOG = """\b
Examples:
  shadowdiff label
  shadowdiff label latest --queries 500 --stratify org --author "Ann Lee"
  shadowdiff label latest --depth 20 --unlabelled
  shadowdiff label latest --progress --format json
  shadowdiff label latest --import qrels.txt --author "Search quality"

\b
Stop with q whenever you like: the next call with the same options goes on where you
stopped. Give a second person the same options and seed, and the kappa of both is
told at the end. `shadowdiff evaluate` measures the sides with the labels."""


@click.command("label", epilog=EPILOG)
@click.argument("run", metavar="[RUN]", default="latest")
@click.option(
    "--depth", type=click.IntRange(min=1), metavar="K", help="Pool the first K of every side; default: the run's top K."
)
@click.option("--queries", type=click.IntRange(min=1), metavar="N", help="Draw N turns; default: all.")
@click.option("--stratify", type=click.Choice(("org",)), help="Draw from every org by its share of the turns.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Decides which turns are drawn, and orders entries."
)
@click.option("--org", "orgs", multiple=True, metavar="ORG", help="Only turns of this org; repeatable.")
@author_option("labels")
@click.option(
    "--grades",
    type=click.Choice([str(highest) for highest in SCALES]),
    default=str(len(GRADED) - 1),
    show_default=True,
    help="The highest grade; 1: relevant or not.",
)
@click.option("--unlabelled", is_flag=True, help="Leave out what anybody has labelled, not only what you have.")
@click.option(
    "--import",
    "imported",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Ask nothing; store what TREC qrels (turn_id 0 entry_id grade) say of the run's turns.",
)
@click.option("--progress", is_flag=True, help="Ask nothing; say how far labels are, and how far people agree.")
@relevance_option(", where agreement is told on relevant or not")
@kind_option("terminal", "json")
@place_options
@click.pass_obj
def command(invocation: Invocation, /, run: str, *, imported: Path | None, progress: bool, **options: Any) -> None:
    """Label the entries of a stored run in the terminal, one key each.

    RUN is a run's id, the beginning of one, or `latest`. Per turn, what any side surfaced is shown in a drawn order,
    and nothing says which side it was. Labels are stored at once.
    """
    if imported is not None:
        _refuse_beside_import({*options, "progress"})
        _import(invocation, run, imported, options["author"] or "")
        return
    _refuse_unasked(options, progress=progress)
    if not progress:
        require_terminal("label", "shadowdiff label RUN --progress, or --import FILE")
    who = None if progress else options["author"] or user_name()
    invocation.is_patient = progress
    found = _run(invocation, run)
    turns = _turns(invocation, found, options)
    if who is not None:
        _label(invocation, found, turns, who, options)
    _report(invocation, found, turns, options)


def _import(invocation: Invocation, name: str, path: Path, author: str) -> None:
    """Store a file's labels under its name. Raises ConfigError where it says nothing of the run."""
    from shadowdiff.cli.evaluate import asked_runs
    from shadowdiff.cli.qrels import qrels_of
    from shadowdiff.render.sessions import counted
    from shadowdiff.render.text import one_line
    from shadowdiff.store.labels import Labels

    labels, elsewhere = qrels_of(asked_runs(invocation, name, None), invocation, path, author)
    Labels(invocation.store).put_all(labels)
    turns = counted(len({label.turn_id for label in labels}), "turn")
    left_out = f"; {counted(elsewhere, 'line')} of turns that the run does not have left out" if elsewhere else ""
    click.echo(f"stored {counted(len(labels), 'label')} of {turns} from {one_line(path.name)}{left_out}")


def label_what_lacks(invocation: Invocation, run: Run, color: str) -> None:
    """Let whoever sits at the terminal label what nobody has labelled in a run's first K, in a drawn order.

    Raises ConfigError where nobody knows who they are, StoreError where a label is not stored.
    """
    options: dict[str, Any] = {"depth": None, "seed": 0, "queries": None, "stratify": None, "orgs": ()}
    options |= {"unlabelled": True, "grades": "3", "color": color}
    _label(invocation, run, _turns(invocation, run, options), user_name(), options)


def _refuse_unasked(options: dict[str, Any], *, progress: bool) -> None:
    """Raise ConfigError for options that say nothing here."""
    if options["stratify"] and not options["queries"]:
        raise ConfigError("--stratify says how --queries are drawn; say how many with: --queries N")
    if not progress and (options["kind"] != "terminal" or options["output"]):
        raise ConfigError("--format and -o write what --progress says; add: --progress")


def _refuse_beside_import(names: set[str]) -> None:
    """Raise ConfigError for options that an import takes no notice of: they may be meant to choose turns."""
    if given := given_options(names - {"author"}):
        raise ConfigError(f"--import stores all that the file says of the run: leave out {', '.join(given)}")


def _run(invocation: Invocation, name: str) -> Run:
    from shadowdiff import diagnostics
    from shadowdiff.store.prune import require_sessions

    run = invocation.store.get(name)
    require_sessions(run, invocation.store)
    if run.status is not RunStatus.DONE:
        done, planned = invocation.store.progress(run.run_id)
        diagnostics.warning(f"run {run.run_id} is not finished: {done:,} of {planned:,} sessions are here to label")
    return run


def _turns(invocation: Invocation, run: Run, options: dict[str, Any]) -> tuple[TurnToLabel, ...]:
    """The turns to label. Raises ConfigError where there are none."""
    from shadowdiff.labelling.pooled import turns_to_label

    choice = _choice(run, options)
    turns = turns_to_label(run.sides, invocation.store.sessions(run.run_id, with_pools=False), choice)
    if turns:
        return turns
    of = f" of {', '.join(map(repr, choice.org_ids))}" if choice.org_ids else ""
    raise ConfigError(f"run {run.run_id} has no turn{of} on which a side surfaced an entry; see: shadowdiff show")


def _choice(run: Run, options: dict[str, Any]) -> Choice:
    from shadowdiff.labelling.pooled import Choice

    return Choice(
        depth=options["depth"] or run.config.top_k,
        seed=options["seed"],
        queries=options["queries"],
        is_stratified=options["stratify"] is not None,
        org_ids=options["orgs"],
    )


def _label(
    invocation: Invocation, run: Run, turns: Sequence[TurnToLabel], author: str, options: dict[str, Any]
) -> None:
    """Let the author label, and say what was not stored. Raises StoreError where something was not."""
    from shadowdiff import diagnostics
    from shadowdiff.labelling.terminal import LabelFlow
    from shadowdiff.render.sessions import counted
    from shadowdiff.terminal_screen import Screen

    sitting = _sitting(invocation, run, turns, author, is_unlabelled=options["unlabelled"])
    if sitting.place is None:
        diagnostics.note(f"nothing is left to label for {author}")
        return
    flow = LabelFlow(sitting, _given(invocation, run, author, options))
    said: list[str] = []
    try:
        with diagnostics.passed_to(said.append), Screen() as screen:
            flow.run(screen)
    except (KeyboardInterrupt, EOFError):
        now = counted(sitting.labelled_now, "label")
        diagnostics.note(f"stored: {now} of this sitting; {sitting.done:,} of {sitting.total:,} entries have one")
        raise
    finally:
        for line in dict.fromkeys(said):
            diagnostics.note(line)
        if flow.unstored is not None:
            label = flow.unstored
            diagnostics.warning(f"not stored: label {label.grade} of entry {label.entry_id} on turn {label.turn_id}")
    if flow.failure is not None:
        raise StoreError(f"1 label is not stored: {flow.failure}")


def _sitting(
    invocation: Invocation, run: Run, turns: Sequence[TurnToLabel], author: str, *, is_unlabelled: bool
) -> Sitting:
    from shadowdiff.labelling.report import Rater, by_rater
    from shadowdiff.labelling.sitting import Sitting
    from shadowdiff.store.labels import Labels

    said = by_rater(Labels(invocation.store).every_of_run(run.run_id))
    others = {key for grades in said.values() for key in grades} if is_unlabelled else ()
    return Sitting(turns, said.get(Rater(author), {}), others)


def _given(invocation: Invocation, run: Run, author: str, options: dict[str, Any]) -> Given:
    from shadowdiff.labelling.terminal import Given
    from shadowdiff.render.lines import painter
    from shadowdiff.store.labels import Labels

    return Given(
        author=author,
        scale=SCALES[int(options["grades"])],
        read=partial(_read, invocation, run),
        put=Labels(invocation.store).put,
        paint=painter(color=colored(options["color"], sys.stdout)),
    )


def _read(invocation: Invocation, run: Run, session_id: str) -> tuple[ReplayedTurn, ...]:
    """The session's turns, with texts."""
    from shadowdiff.review.stored import StoredRun

    outcome = StoredRun(run, invocation.store, partial(with_texts, run, invocation)).outcome(session_id)
    return tuple(turn.replayed for turn in outcome.turns)


def _report(invocation: Invocation, run: Run, turns: Sequence[TurnToLabel], options: dict[str, Any]) -> None:
    """How far it is, and how far those who label agree."""
    from shadowdiff.labelling.report import labelling_report
    from shadowdiff.render.labelling import labelling_json, labelling_lines
    from shadowdiff.store.labels import Labels

    labels = Labels(invocation.store).every_of_run(run.run_id)
    report = labelling_report(turns, labels, options["min_grade"])
    with opened(options["output"]) as out:
        if options["kind"] == "json":
            out.write(labelling_json(report, run))
            return
        drawn = partial(labelling_lines, report, run, _choice(run, options).depth, _texts(invocation, run, report))
        write_lines(out, drawn, options["width"], options["color"])


def _texts(invocation: Invocation, run: Run, report: LabellingReport) -> Texts:
    """What the entries and queries are called that people do not agree on."""
    from shadowdiff.render.labelling import Told
    from shadowdiff.render.sessions import asked_text

    texts: dict[EntryKey, Told] = {}
    for session_id in dict.fromkeys(item.turn.session_id for item in report.disputed):
        for turn in _read(invocation, run, session_id):
            for item in turn.pool.entries:
                key = (item.entry.org_id, turn.turn.turn_id, item.entry.entry_id)
                texts[key] = Told(asked_text(turn.turn), item.entry.title)
    return texts
