"""`shadowdiff cache`: what the score cache holds, and taking out of it what nobody needs any more."""

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
from shadowdiff.errors import ConfigError

if TYPE_CHECKING:
    from shadowdiff.runs import ScoresHeld

EPILOG = """\b
Examples:
  shadowdiff cache
  shadowdiff cache --format json
  shadowdiff cache prune --unused --older-than 30d"""
PRUNE_EPILOG = """\b
Examples:
  shadowdiff cache prune --older-than 90d
  shadowdiff cache prune --unused --yes
  shadowdiff cache prune --fingerprint 9e10aa01c7fd"""


@click.group("cache", invoke_without_command=True, epilog=EPILOG)
@click.option("--format", "kind", type=click.Choice(("terminal", "json")), default="terminal", show_default=True)
@click.pass_context
def command(ctx: click.Context, kind: str) -> None:
    """Show which rerankers' scores are kept, so that the same pairs are not scored or paid for again."""
    if ctx.invoked_subcommand is not None:
        return
    from shadowdiff.render.listing import cache_json, cache_table

    held = _held(ctx.obj).scores
    with opened(None) as out:
        out.write(cache_json(held) if kind == "json" else cache_table(held, width_of(out)))


@command.command("prune", epilog=PRUNE_EPILOG)
@click.option("--older-than", "before", type=When(), metavar="30d|DATE", help="Scores that were made before this.")
@click.option(
    "--fingerprint",
    "prefixes",
    multiple=True,
    metavar="HEX",
    help="Of the reranker with this fingerprint, or with the only one that begins so; repeatable.",
)
@click.option("--unused", is_flag=True, help="Of rerankers that play in no stored run.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def prune(invocation: Invocation, before: datetime | None, prefixes: tuple[str, ...], unused: bool, yes: bool) -> None:
    """Remove scores that fit all of the conditions given.

    Removed scores are made again, and paid for again, when a replay needs them. Runs keep their rankings.
    """
    from shadowdiff import diagnostics
    from shadowdiff.store.cache import HeldScores

    if not (before or prefixes or unused):
        raise ConfigError("say what to remove: --older-than 30d, --fingerprint HEX or --unused")
    chosen = _chosen(_held(invocation, before), prefixes, unused=unused)
    if not chosen:
        click.echo("nothing in the score cache fits; nothing was removed")
        return
    _confirm(chosen, yes=yes)
    store, total = HeldScores(invocation.store), sum(item.pairs for item in chosen)
    removed = 0
    with diagnostics.counted_progress("removing scores") as on_progress:
        for item in chosen:
            removed += store.remove(item.fingerprint, before)
            on_progress(removed, total)
    click.echo(f"removed {_counted(removed, len(chosen))}; the server uses the space again for what comes")


@dataclass(frozen=True, slots=True)
class _Held:
    """What is held, and why it may be wrong that some of it is unused."""

    scores: list[ScoresHeld]
    fingerprints: list[str]
    """Of all rerankers, also where `scores` are those scored before a time."""
    doubts: tuple[str, ...] = ()


def _held(invocation: Invocation, before: datetime | None = None) -> _Held:
    """What the cache holds of each reranker (scored before a time), with what stored runs know of it."""
    from shadowdiff.replay.played import parts_of
    from shadowdiff.store.cache import HeldScores

    store = HeldScores(invocation.store)
    held = store.by_reranker()
    played = {side.fingerprint: (side, runs) for side, runs in store.sides_of_runs()}
    known = {fingerprint: side.spec for fingerprint, (side, _) in played.items()}
    cached = {item.fingerprint for item in held}
    doubts: tuple[str, ...] = ()
    if not cached <= known.keys():
        parts = parts_of([side for side, _ in played.values()], cached, invocation.settings.rerankers)
        known, doubts = {**parts.known, **known}, tuple(f"{spec}: {why}" for spec, why in parts.unknown.items())
    runs = {fingerprint: number for fingerprint, (_, number) in played.items()}
    shown = held if before is None else store.by_reranker(before)
    named = [replace(it, reranker=known.get(it.fingerprint), runs=runs.get(it.fingerprint, 0)) for it in shown]
    return _Held(named, sorted(cached), doubts)


def _chosen(held: _Held, prefixes: Sequence[str], *, unused: bool) -> list[ScoresHeld]:
    """Those that fit. Raises ConfigError for a beginning that fits none or several."""
    from shadowdiff import diagnostics

    wanted = {_one(held.fingerprints, prefix.lower()) for prefix in prefixes}
    chosen = [item for item in held.scores if not wanted or item.fingerprint in wanted]
    if not unused:
        return chosen
    for doubt in held.doubts:
        diagnostics.warning(f"cannot tell which scores this side of a stored run is made of: {doubt}")
    return [item for item in chosen if item.reranker is None]


def _one(fingerprints: Sequence[str], prefix: str) -> str:
    found = [fingerprint for fingerprint in fingerprints if fingerprint.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    how_many = f"the fingerprints of {len(found)} rerankers begin" if found else "none in the score cache begins"
    raise ConfigError(f"--fingerprint {prefix!r}: {how_many} so; list them with: shadowdiff cache")


def _confirm(chosen: Sequence[ScoresHeld], *, yes: bool) -> None:
    """Raise ConfigError where nobody can be asked and nobody said --yes; click.Abort where the answer is no."""
    from shadowdiff.render.listing import cache_table

    would = _counted(sum(item.pairs for item in chosen), len(chosen))
    confirm_removal(would, lambda width: cache_table(chosen, width), yes=yes)


def _counted(pairs: int, rerankers: int) -> str:
    from shadowdiff.render.sessions import counted

    return f"the scores of {counted(pairs, 'pair')} of {counted(rerankers, 'reranker')}"
