"""`shadowdiff export`: a stored run as files for other tools, or for another machine."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shadowdiff.cli.directory import new_directory
from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import opened, with_texts
from shadowdiff.errors import BundleError, ConfigError, DatabaseError
from shadowdiff.render.text import visible

if TYPE_CHECKING:
    from shadowdiff.export.bundle import Exported
    from shadowdiff.privacy import Redactor
    from shadowdiff.protocols import Need
    from shadowdiff.runs import Run
    from shadowdiff.sources.bundle import Bundle
    from shadowdiff.sources.postgres import PostgresSource

EPILOG = """\b
Examples:
  shadowdiff export latest --format csv -o run.csv
  shadowdiff export 20261120-0214 --format trec -o runs
  shadowdiff export latest --format bundle --redact -o for-the-vendor

\b
trec: A.trec, B.trec, … with whole rankings, and qrels.txt from the labels; ids only.
bundle: what `shadowdiff load` reads, pools as they were replayed.
csv: one row per turn, side and ranked entry, whole rankings."""


@click.command("export", epilog=EPILOG)
@click.argument("run", metavar="RUN", default="latest")
@click.option("--format", "kind", type=click.Choice(("trec", "bundle", "csv")), required=True, help="What to write.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A directory; csv: a file (default: stdout).",
)
@click.option("--redact", is_flag=True, help="Apply the patterns of [privacy] to every text; ids stay.")
@click.option(
    "--knowledge-base",
    type=click.Choice(("auto", "all", "pools")),
    default="auto",
    show_default=True,
    help="bundle: all entries of the orgs, or those that pools name; auto: all if a side needs them (bm25).",
)
@click.option("--force", is_flag=True, help="Replace an older export in the directory.")
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    run: str,
    kind: str,
    output: Path | None,
    *,
    redact: bool,
    knowledge_base: str,
    force: bool,
) -> None:
    """Write a stored run as TREC files, as a bundle that another machine can load and replay, or as CSV.

    RUN is a run's id, the beginning of one, or `latest`. A bundle replays to the same rankings with the same sides;
    what stands in the way of that is said on stderr.
    """
    from shadowdiff.store.prune import require_sessions

    found = invocation.store.get(run)
    require_sessions(found, invocation.store)
    redact_by = _redactor(invocation) if redact else None
    if kind == "csv":
        _write_csv(invocation, found, output, redact_by)
        return
    if output is None:
        raise ConfigError(f"--format {kind} writes several files; name a directory with -o")
    with new_directory(output, force=force) as directory:
        if kind == "trec":
            told, then = _write_trec(invocation, found, directory), ""
        else:
            bundle = _write_bundle(invocation, found, directory, knowledge_base, redact_by)
            told, then = _told(bundle), _replay_commands(found, bundle, output)
    with opened(None) as out:
        out.write(f"{told} to {visible(str(output))}\n{then}")


def _redactor(invocation: Invocation) -> Redactor:
    """What --redact applies. Raises ConfigError where [privacy] names no pattern."""
    from shadowdiff.privacy import redactor

    found = redactor(invocation.settings.privacy)
    if not found:
        raise ConfigError('--redact needs patterns: name some in [privacy] of shadowdiff.toml, say redact = ["email"]')
    return found


def _write_csv(invocation: Invocation, run: Run, output: Path | None, redact: Redactor | None) -> None:
    from shadowdiff.render.spreadsheet import CsvRenderer
    from shadowdiff.replay.results import outcomes

    with opened(output) as out:
        found = with_texts(run, invocation, outcomes(run, invocation.store))
        CsvRenderer(full_rankings=True, redact=redact.text if redact else str).render(run, found, out)


def _write_trec(invocation: Invocation, run: Run, directory: Path) -> str:
    from shadowdiff import diagnostics
    from shadowdiff.export.runs import file_name, write_runs
    from shadowdiff.store.labels import Labels

    labels = Labels(invocation.store).of_run(run.run_id)
    written = write_runs(run, invocation.store.sessions(run.run_id), labels, directory)
    for label, turns in written.silent.items():
        diagnostics.warning(
            f"side {label} ranked no entry on {turns} of {written.turns} turns: they have no line in {file_name(label)}"
        )
    return f"wrote {written.lines:,} lines for {len(run.sides)} sides, {len(labels):,} labels"


def _write_bundle(
    invocation: Invocation, run: Run, directory: Path, knowledge_base: str, redact: Redactor | None
) -> Bundle:
    from shadowdiff import diagnostics
    from shadowdiff.sources.bundle import read_bundle
    from shadowdiff.sources.bundle_writer import write_bundle

    needs = _needs(run, invocation.settings.rerankers)
    whole = knowledge_base == "all" or (knowledge_base == "auto" and "lexical" in needs)
    exported = _assembled(invocation, run, redact, whole=whole)
    if not exported.bundle.sessions:
        raise ConfigError(f"run {run.run_id} has no turn to export")
    for note in (*exported.notes, *_side_notes(run, needs, exported.bundle, whole=whole)):
        diagnostics.warning(note)
    write_bundle(exported.bundle, directory)
    try:
        read_bundle(directory)
    except BundleError as error:
        raise ConfigError(f"this run makes no bundle that could be loaded: {error}") from error
    return exported.bundle


def _assembled(invocation: Invocation, run: Run, redact: Redactor | None, *, whole: bool) -> Exported:
    """With what the source holds, and without it where it cannot be reached."""
    from shadowdiff import diagnostics
    from shadowdiff.export.bundle import exported_bundle
    from shadowdiff.export.redaction import Redaction
    from shadowdiff.records import ReplayedSession
    from shadowdiff.replay.results import outcomes
    from shadowdiff.store.labels import Labels

    def assembled(source: PostgresSource | None) -> Exported:
        redaction = None if redact is None else Redaction(redact)
        return exported_bundle(replayed, labels, source, whole=whole, redaction=redaction)

    labels = Labels(invocation.store).of_run(run.run_id)
    stored = with_texts(run, invocation, outcomes(run, invocation.store))
    replayed = [ReplayedSession(found.session, tuple(turn.replayed for turn in found.turns)) for found in stored]
    try:
        return assembled(invocation.source)
    except DatabaseError as error:
        diagnostics.warning(f"{error}; the bundle holds the pools' entries only, and no embeddings")
    return assembled(None)


def _needs(run: Run, names: Mapping[str, str]) -> frozenset[Need]:
    """What the run's sides read beyond texts. A side that cannot be built here (a model elsewhere) counts as none."""
    from shadowdiff.protocols import PoolReranker
    from shadowdiff.rerankers.registry import build
    from shadowdiff.rerankers.spec import parse

    found: frozenset[Need] = frozenset()
    for side in run.sides:
        try:
            reranker = build(parse(side.spec), names)
        except ConfigError:
            continue
        found |= reranker.needs if isinstance(reranker, PoolReranker) else frozenset()
    return found


def _side_notes(run: Run, needs: frozenset[Need], bundle: Bundle, *, whole: bool) -> Sequence[str]:
    """Sides that will not find in the bundle what they read."""
    notes = []
    if "lexical" in needs and not whole:
        notes.append("without the whole knowledge bases, bm25 has other statistics; use --knowledge-base all")
    if "vectors" in needs and bundle.embeddings is None:
        notes.append("without embeddings, cosine cannot be replayed from this bundle")
    files = [(side.label, side.spec.removeprefix("run:")) for side in run.sides if side.spec.startswith("run:")]
    notes += [f"side {label} reads {file}, which is not in the bundle: send it along" for label, file in files]
    return notes


def _told(bundle: Bundle) -> str:
    turns = sum(len(session.turns) for session in bundle.sessions)
    vectors = f"embeddings of {bundle.embeddings.model}" if bundle.embeddings else "no embeddings"
    return (
        f"wrote {len(bundle.sessions):,} sessions, {turns:,} turns, {len(bundle.entries):,} entries, "
        f"{len(bundle.labels):,} labels, {vectors}"
    )


def _replay_commands(run: Run, bundle: Bundle, output: Path) -> str:
    """What to type on the other machine, where defaults of today are not relied upon."""
    config = run.config
    pools = [len(turn.recorded_pool or ()) for session in bundle.sessions for turn in session.turns]
    words = ["shadowdiff", "replay", "--last", len(bundle.sessions), "--top-k", config.top_k]
    words += ["--pool", max(config.pool, *pools)]
    for place, side in enumerate(run.sides):
        words += ["-B" if place else "-A", side.spec]
        words += [] if side.min_score is None else ["--min-score", f"{side.label}={side.min_score}"]
    words += [] if config.production_assumed else ["--production", config.production or "none"]
    words += ["--noise"] if config.noise else []
    load = shlex.join(["shadowdiff", "load", output.name])
    return visible(f"replay it there with: {load} && {shlex.join(map(str, words))}") + "\n"
