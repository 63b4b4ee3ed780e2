"""Carry a run out for a command: build its sides, replay with progress, and refuse what means too little."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from shadowdiff.cli.finite import FiniteRange
from shadowdiff.cli.invocation import Invocation
from shadowdiff.errors import ConfigError, DatabaseError, SpendingCapError, StoreError, TooManyFailuresError

if TYPE_CHECKING:
    from shadowdiff.config import Settings
    from shadowdiff.replay.execute import Replay
    from shadowdiff.replay.sides import Contender
    from shadowdiff.runs import Run, RunConfig, RunSummary
    from shadowdiff.store.runs import Beside


DEFAULT_BASELINE = "cosine"
DEFAULT_OTHERS = ("bm25",)
F = TypeVar("F", bound=Callable[..., Any])

SIDE_OPTIONS = (
    click.option("-A", "baseline", metavar="SPEC", help="Side A, the baseline: a spec or a name from shadowdiff.toml."),
    click.option("-B", "others", multiple=True, metavar="SPEC", help="Side B; repeat for C, D, …"),
)
no_cache_option = click.option("--no-cache", is_flag=True, help="Score every pair anew.")
max_usd_option = click.option(
    "--max-usd",
    type=FiniteRange(0, min_open=True),
    metavar="DOLLARS",
    help="Stop, with all results kept, before providers cost more than this ([prices] in shadowdiff.toml); exit 1.",
)
max_failures_option = click.option(
    "--max-failures",
    type=FiniteRange(0, 1),
    metavar="SHARE",
    help="Exit 4 when more than this share of turns failed (default: when a side failed on every turn).",
)


def side_options(function: F) -> F:
    """Add -A and -B, as `named_sides` takes them: `baseline` and `others`."""
    for option in reversed(SIDE_OPTIONS):
        function = option(function)
    return function


def latency_option(default: int) -> Callable[[F], F]:
    """Add --latency as `latency_turns`."""
    return click.option(
        "--latency",
        "latency_turns",
        type=click.IntRange(min=0),
        default=default,
        show_default=True,
        metavar="N",
        help="Time N turns per side after the replay, drawn from the whole run: one pool per call, cache off, "
        "after a warm-up. p95 takes 20 turns, p99 100.",
    )


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


def named_sides(invocation: Invocation, baseline: str | None, others: Sequence[str]) -> SideOptions:
    """The sides of the command line, else those of [replay] in shadowdiff.toml, else cosine against bm25."""
    settings = invocation.settings
    return SideOptions(
        baseline or settings.baseline or DEFAULT_BASELINE,
        tuple(others or settings.others or DEFAULT_OTHERS),
        configured_production=settings.production,
    )


def replay_sessions(
    invocation: Invocation,
    sides: SideOptions,
    config: RunConfig,
    session_ids: Sequence[str] | None = None,
    beside: Beside | None = None,
    **how: Any,
) -> Run:
    """Build the sides, replay, and return the finished run. `how`: no_cache, latency_turns, max_usd.

    `session_ids` are replayed in place of what the window selects; `beside` is written
    in the transaction that stores the run.
    """
    contenders, config = built(invocation, sides, config)
    check_cap(config, contenders, how.get("max_usd"))
    replay = prepared(invocation, contenders, **how)
    return finished(invocation, replay, replay.start(config, session_ids, beside))


def resume_run(invocation: Invocation, name: str, *, retry_failed: bool = False, **how: Any) -> Run:
    """Go on with a stored run and return it finished. Raises ConfigError where its sides are not what they were."""
    run, contenders = stored_run(invocation, name, retry_failed=retry_failed)
    check_cap(run.config, contenders, how.get("max_usd"))
    replay = prepared(invocation, contenders, **how)
    replay.loading.begin(contenders)
    return finished(invocation, replay, run, retry_failed=retry_failed)


def built(invocation: Invocation, sides: SideOptions, config: RunConfig) -> tuple[tuple[Contender, ...], RunConfig]:
    """The sides, and the configuration with what is known of them."""
    from shadowdiff.replay.sides import build_sides, with_prices, with_production

    names = {**invocation.settings.rerankers, **sides.names}
    settings = invocation.settings
    _warn_of_unknown(settings)
    how_built = (settings.privacy, settings.providers, settings.text_cache)
    contenders = build_sides(sides.baseline, sides.others, names, sides.min_scores, *how_built)
    said = {"asked": sides.production, "configured": sides.configured_production}
    config = with_production(config, contenders, names, **said)
    return contenders, with_prices(config, contenders, settings.prices)


def _warn_of_unknown(settings: Settings) -> None:
    """What [providers] says of a kind that is not there, such as a limit, applies to nobody."""
    from shadowdiff import diagnostics
    from shadowdiff.judging.judges import JUDGES
    from shadowdiff.plugins import unknown_schemes
    from shadowdiff.rerankers.registry import KINDS

    for name, told in unknown_schemes(settings.providers, KINDS, JUDGES):
        diagnostics.warning(f"{settings.file}: [providers.{name}] is not used: {told}")


def check_cap(config: RunConfig, contenders: tuple[Contender, ...], max_usd: float | None) -> None:
    """A cap that cannot be kept is refused before anything is sent."""
    from shadowdiff.replay.sides import asking_parts

    unpriced = [c.side for c in contenders if asking_parts(c.reranker) and c.side.label not in config.prices]
    if max_usd is not None and unpriced:
        raise ConfigError(
            f"--max-usd needs a price for every side that asks a provider, and {unpriced[0].name!r} has none; "
            f'add [prices."{unpriced[0].name}"] to shadowdiff.toml'
        )


def stored_run(invocation: Invocation, name: str, *, retry_failed: bool) -> tuple[Run, tuple[Contender, ...]]:
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


def prepared(
    invocation: Invocation,
    contenders: tuple[Contender, ...],
    *,
    no_cache: bool,
    latency_turns: int,
    max_usd: float | None = None,
) -> Replay:
    """What carries the run out, with everything that the settings say of it."""
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


def finished(invocation: Invocation, replay: Replay, run: Run, *, retry_failed: bool = False) -> Run:
    """The run, carried out under a progress bar; says how to go on with it where it is cut short."""
    from shadowdiff import diagnostics

    with carrying_out(invocation, run), diagnostics.replay_progress() as on_progress:
        return replace(replay, on_progress=on_progress).finish(run, retry_failed=retry_failed)


@contextmanager
def carrying_out(invocation: Invocation, run: Run) -> Iterator[None]:
    """Hold the run; where it is cut short, say how to go on with it."""
    from shadowdiff import diagnostics

    try:
        with invocation.store.carrying_out(run.run_id):
            yield
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
