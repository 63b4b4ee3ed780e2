"""`shadowdiff replay`: the main job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import OutputOptions, output_options, taken, write_run
from shadowdiff.cli.pooling import pool_options
from shadowdiff.cli.when import When
from shadowdiff.errors import ConfigError, DatabaseError, SpendingCapError, StoreError, TooManyFailuresError

if TYPE_CHECKING:
    from shadowdiff.records import Window
    from shadowdiff.replay.execute import Replay
    from shadowdiff.replay.sides import Contender
    from shadowdiff.runs import Run, RunConfig, RunSummary

DEFAULT_LAST = 10
DEFAULT_BASELINE = "cosine"
DEFAULT_OTHERS = ("bm25",)

EPILOG = """\b
Examples:
  shadowdiff replay --last 10 -A cosine -B onnx:models/v3
  shadowdiff replay --since 24h --org acme -A served -B v3 -B v4 --only-changed
  shadowdiff replay --last 100 --pool-from cosine -A cosine -B bm25 --format json -o diff.json
  shadowdiff replay --last 50 -A v3 -B v4 --production v3
  shadowdiff replay --last 10 -A run:before.trec -B run:after.trec
  shadowdiff replay --last 1000 -A v3 -B managed --dry-run
  shadowdiff replay --resume 20261120-0214"""


class SideNumber(click.ParamType[tuple[str, float]]):
    """`SIDE=NUMBER`."""

    name = "SIDE=X"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        """Parse into (label, number)."""
        label, separator, number = str(value).partition("=")
        try:
            return label.strip().upper(), float(number) if separator else self.fail("no '='", param, ctx)
        except ValueError:
            self.fail(f"{value!r} is not SIDE=NUMBER, such as B=0.2", param, ctx)


@dataclass(frozen=True, slots=True)
class SideOptions:
    """Which rerankers play."""

    baseline: str
    others: tuple[str, ...]
    min_scores: Mapping[str, float] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    """Short names beside those of shadowdiff.toml."""
    production: str | None = None
    """The side that is production's, as the command line says."""
    configured_production: str | None = None
    """The same, as shadowdiff.toml says."""


@click.command("replay", epilog=EPILOG)
@click.option(
    "--last", type=click.IntRange(min=1), metavar="N", help=f"The newest N sessions (default {DEFAULT_LAST})."
)
@click.option("--since", type=When(), metavar="24h|DATE", help="Sessions that started at or after this.")
@click.option("--until", type=When(), metavar="24h|DATE", help="Sessions that started before this.")
@click.option("--session", "session_ids", multiple=True, metavar="ID", help="These sessions only; repeatable.")
@click.option("--org", "org_ids", multiple=True, metavar="ORG", help="Sessions of these orgs only; repeatable.")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Draw N of the selected sessions at random.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of --sample.")
@click.option("-A", "baseline", metavar="SPEC", help="Side A, the baseline: a spec or a name from shadowdiff.toml.")
@click.option("-B", "others", multiple=True, metavar="SPEC", help="Side B; repeat for C, D, …")
@click.option(
    "--production",
    metavar="SIDE|SPEC|none",
    help="Production's own reranker, to be held against what was served (default: A, unless served or run:).",
)
@pool_options
@click.option(
    "--min-score", "min_scores", type=SideNumber(), multiple=True, help="Surface only at or above X; repeatable."
)
@click.option("--noise", is_flag=True, help="Run the baseline against itself too, and show that floor.")
@click.option("--no-cache", is_flag=True, help="Score every pair anew.")
@click.option(
    "--latency",
    "latency_turns",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Time N turns per side after the replay, drawn from the whole run: one pool per call, cache off, "
    "after a warm-up. p95 takes 20 turns, p99 100.",
)
@click.option(
    "--max-failures",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Exit 4 when more than this share of turns failed (default: when a side failed on every turn).",
)
@click.option(
    "--max-usd",
    type=click.FloatRange(0, min_open=True),
    metavar="DOLLARS",
    help="Stop, with all results kept, before providers cost more than this ([prices] in shadowdiff.toml); exit 1.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Say what each side would ask of its provider and what that would cost; send and store nothing.",
)
@click.option("--resume", metavar="RUN", help="Go on with an interrupted run; its selection and sides stand.")
@click.option("--retry-failed", is_flag=True, help="With --resume: ask again for the turns that a side failed on.")
@output_options
@click.pass_obj
def command(invocation: Invocation, /, resume: str | None, max_failures: float | None, **options: Any) -> None:
    """Replay recent sessions and diff what the rerankers surface.

    Every turn goes through the baseline and the others in shadow, over the same pool.
    Without -A and -B: the sides of [replay] in shadowdiff.toml, else cosine against bm25.
    Everything is stored: `shadowdiff show latest` renders the run again.
    """
    output = taken(options)
    if options["retry_failed"] and not resume:
        raise ConfigError("--retry-failed goes with --resume RUN: it asks again for that run's failed turns")
    if options["dry_run"]:
        _dry_run(invocation, resume, options, output)
        return
    run = _resumed(invocation, resume, options) if resume else _started(invocation, options)
    write_run(run, invocation, output)
    refuse_cap(run, options["max_usd"], invocation)
    refuse_too_many_failures(run, max_failures)


def replay_sessions(invocation: Invocation, sides: SideOptions, config: RunConfig, **how: Any) -> Run:
    """Build the sides, replay, and return the finished run. `how`: no_cache, latency_turns, max_usd."""
    contenders, config = _built(invocation, sides, config)
    _check_cap(config, contenders, how.get("max_usd"))
    replay = _replay(invocation, contenders, **how)
    return _finished(invocation, replay, replay.start(config))


def _built(invocation: Invocation, sides: SideOptions, config: RunConfig) -> tuple[tuple[Contender, ...], RunConfig]:
    """The sides, and the configuration with what is known of them."""
    from shadowdiff.replay.sides import build_sides, with_prices, with_production

    names = {**invocation.settings.rerankers, **sides.names}
    settings = invocation.settings
    how_built = (settings.privacy, settings.providers, settings.text_cache)
    contenders = build_sides(sides.baseline, sides.others, names, sides.min_scores, *how_built)
    said = {"asked": sides.production, "configured": sides.configured_production}
    config = with_production(config, contenders, names, **said)
    return contenders, with_prices(config, contenders, settings.prices)


def _started(invocation: Invocation, options: dict[str, Any]) -> Run:
    sides, config = _sides(invocation, options), _config(invocation, options)
    return replay_sessions(invocation, sides, config, **_how(options))


def _config(invocation: Invocation, options: dict[str, Any]) -> RunConfig:
    from shadowdiff.records import PoolOrigin
    from shadowdiff.runs import RunConfig

    return RunConfig(
        top_k=options["top_k"],
        pool=options["pool"],
        pool_from=PoolOrigin(options["pool_from"]),
        noise=options["noise"],
        window=_window(options),
        store_text=invocation.settings.privacy.store_text,
    )


def _how(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("no_cache", "latency_turns", "max_usd")}


def _check_cap(config: RunConfig, contenders: tuple[Contender, ...], max_usd: float | None) -> None:
    """A cap that cannot be kept is refused before anything is sent."""
    from shadowdiff.replay.sides import asking_parts

    unpriced = [c.side for c in contenders if asking_parts(c.reranker) and c.side.label not in config.prices]
    if max_usd is not None and unpriced:
        raise ConfigError(
            f"--max-usd needs a price for every side that asks a provider, and {unpriced[0].name!r} has none; "
            f'add [prices."{unpriced[0].name}"] to shadowdiff.toml'
        )


def _sides(invocation: Invocation, options: dict[str, Any]) -> SideOptions:
    settings = invocation.settings
    baseline = options["baseline"] or settings.baseline or DEFAULT_BASELINE
    others = options["others"] or settings.others or DEFAULT_OTHERS
    return SideOptions(
        baseline,
        tuple(others),
        dict(options["min_scores"]),
        production=options["production"],
        configured_production=settings.production,
    )


def _window(options: dict[str, Any]) -> Window:
    from shadowdiff.records import Window

    since: datetime | None = options["since"]
    until: datetime | None = options["until"]
    if since and until and since >= until:
        raise ConfigError("--since is not before --until; no session can be in between")
    unbounded = not (since or options["session_ids"] or options["sample"])
    return Window(
        last=options["last"] or (DEFAULT_LAST if unbounded else None),
        since=since,
        until=until,
        session_ids=options["session_ids"],
        org_ids=options["org_ids"],
        sample=options["sample"],
        seed=options["seed"],
    )


def _dry_run(invocation: Invocation, resume: str | None, options: dict[str, Any], output: OutputOptions) -> None:
    from shadowdiff.cli.dry_run import show_forecast
    from shadowdiff.replay.execute import selected_sessions

    if options["retry_failed"]:
        raise ConfigError("--dry-run does not know what --retry-failed would ask for; leave one of them out")
    if resume:
        run, contenders = _stored_run(invocation, resume, retry_failed=False)
        config, session_ids = run.config, invocation.store.pending(run.run_id)
    else:
        contenders, config = _built(invocation, _sides(invocation, options), _config(invocation, options))
        session_ids = selected_sessions(invocation.source, config.window)
    how = {name: options[name] for name in ("no_cache", "max_usd")}
    show_forecast(invocation, contenders, config, session_ids, output, **how)


def _resumed(invocation: Invocation, name: str, options: dict[str, Any]) -> Run:
    retry_failed = options["retry_failed"]
    run, contenders = _stored_run(invocation, name, retry_failed=retry_failed)
    _check_cap(run.config, contenders, options["max_usd"])
    replay = _replay(invocation, contenders, **_how(options))
    replay.loading.begin(contenders)
    return _finished(invocation, replay, run, retry_failed=retry_failed)


def _stored_run(invocation: Invocation, name: str, *, retry_failed: bool) -> tuple[Run, tuple[Contender, ...]]:
    """A run that can go on, and its sides."""
    from shadowdiff.replay.sides import rebuild_sides
    from shadowdiff.runs import RunStatus
    from shadowdiff.store.prune import require_sessions

    run, settings = invocation.store.get(name), invocation.settings
    if run.status is RunStatus.DONE and not retry_failed:
        raise ConfigError(f"run {run.run_id} is done; see it with: shadowdiff show {run.run_id}")
    require_sessions(run, invocation.store)
    how_built = (settings.privacy, settings.providers, settings.text_cache)
    return run, rebuild_sides(run, settings.rerankers, *how_built)


def _replay(
    invocation: Invocation,
    contenders: tuple[Contender, ...],
    *,
    no_cache: bool,
    latency_turns: int,
    max_usd: float | None = None,
) -> Replay:
    from shadowdiff import diagnostics
    from shadowdiff.privacy import NO_REDACTION, redactor
    from shadowdiff.replay.execute import Replay
    from shadowdiff.replay.sides import Loading

    privacy = invocation.settings.privacy
    return Replay(
        contenders=contenders,
        source=invocation.source,
        store=invocation.store,
        use_cache=not no_cache,
        loading=Loading() if no_cache else Loading(invocation.store.has_scores),
        redact_stored=redactor(privacy) if privacy.redact_stored else NO_REDACTION,
        latency_turns=latency_turns,
        max_usd=max_usd,
        on_warning=diagnostics.warning,
    )


def _finished(invocation: Invocation, replay: Replay, run: Run, *, retry_failed: bool = False) -> Run:
    from shadowdiff import diagnostics

    try:
        with invocation.store.carrying_out(run.run_id), diagnostics.replay_progress() as on_progress:
            return replace(replay, on_progress=on_progress).finish(run, retry_failed=retry_failed)
    except (KeyboardInterrupt, DatabaseError):
        diagnostics.warning(
            f"{_stored(invocation, run)} stored as run {run.run_id}; go on with: shadowdiff replay --resume "
            f"{run.run_id}, or see them with: shadowdiff show {run.run_id}"
        )
        raise
    finally:
        _tell_approximate(invocation)


def _tell_approximate(invocation: Invocation) -> None:
    """Pools that are not certain to hold the very nearest entries are never passed off as if they were."""
    from shadowdiff import diagnostics

    orgs = sorted(invocation.source.approximate_orgs)
    if orgs:
        others = f" and {len(orgs) - 1} more" if len(orgs) > 1 else ""
        diagnostics.warning(
            f"pools of org {orgs[0]!r}{others} come from an approximate index (HNSW), which may miss some of the "
            "nearest entries; all sides rank the same pools"
        )


def _stored(invocation: Invocation, run: Run) -> str:
    """How much of a run that was cut short can be had again."""
    try:
        done, planned = invocation.store.progress(run.run_id)
    except StoreError:
        return "the sessions that were replayed are"
    return f"{done} of {planned} sessions are"


def refuse_cap(run: Run, max_usd: float | None, invocation: Invocation) -> None:
    """Raise SpendingCapError when the run stopped at its cap: after it was rendered, so that nothing is lost."""
    from shadowdiff.runs import RunStatus

    if max_usd is not None and run.status is RunStatus.INTERRUPTED:
        raise SpendingCapError(
            f"stopped before providers cost more than --max-usd {max_usd:g}; {_stored(invocation, run)} stored; "
            f"go on with: shadowdiff replay --resume {run.run_id} --max-usd MORE"
        )


def refuse_too_many_failures(run: Run, max_failures: float | None) -> None:
    """Raise TooManyFailuresError when the run means too little: after it was rendered, so that nothing is lost."""
    summary = run.summary
    if summary is None or not summary.turns:
        return
    silent = [label for label, side in summary.sides.items() if not side.ranked_turns]
    if silent:
        raise TooManyFailuresError(
            f"side {silent[0]} failed on all {summary.turns} turns: {_reason(run, summary, silent[0])}"
        )
    share = summary.failed_turns / summary.turns
    if max_failures is not None and share > max_failures:
        raise TooManyFailuresError(
            f"{summary.failed_turns} of {summary.turns} turns failed ({share:.1%}), "
            f"more than --max-failures {max_failures:.1%}"
        )


def _reason(run: Run, summary: RunSummary, label: str) -> str:
    spec = next(side.spec for side in run.sides if side.label == label)
    unpooled = f"{summary.unpooled_turns} of the turns have no recorded pool; " if summary.unpooled_turns else ""
    return f"{unpooled}{spec}; the reasons stand beside each turn: shadowdiff show {run.run_id}"
