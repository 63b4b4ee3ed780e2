"""Entries that pools and served lists name: gone, another org's, changed since, or named twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from shadowdiff.checks.checkup import Checkup, was_cancelled
from shadowdiff.checks.sample import SampledTurn
from shadowdiff.errors import SourceError
from shadowdiff.findings import Finding, fail, ok, warn
from shadowdiff.sources import statements

if TYPE_CHECKING:
    from sqlalchemy import Connection

MOST_LOOKED_FOR = 1_000
"""Missing entries that are looked for in other orgs."""
OWNERS_READ = 5_000


def looked_up(checkup: Checkup) -> Iterator[Finding]:
    """Nothing of its own: where the lookup fails, say because ids are of another type, it fails once and here."""
    checkup.held  # noqa: B018 a cached property
    yield from ()


def entries_in_pools(checkup: Checkup) -> Iterator[Finding]:
    """Whether the knowledge base still holds what pools name, and holds it for the turn's own org."""
    named = [(turn, entry_id) for turn in checkup.sample.turns for entry_id in turn.pool or ()]
    if not named or not checkup.parts.has("entries"):
        return
    missing = [(turn, entry_id) for turn, entry_id in named if (turn.org_id, entry_id) not in checkup.held]
    owners = _owners(checkup, sorted({entry_id for _, entry_id in missing})[:MOST_LOOKED_FOR])
    if owners is None:
        told = f"not known: looking for {len(missing):,} missing entries in other orgs ran into the statement timeout"
        yield warn("leak", told, "an index on the entry id alone would help: CREATE INDEX CONCURRENTLY ON … (…)")
        owners = {}
    elsewhere = [(turn, entry_id) for turn, entry_id in missing if entry_id in owners]
    if elsewhere:
        yield _leak(elsewhere, owners, len(named))
    gone = len(missing) - len(elsewhere)
    if gone:
        share = f"{gone:,} of {len(named):,} places in pools ({gone / len(named):.1%})"
        told = f"{share} name an entry that is no longer there"
        yield warn("entries in pools", told, "a replay leaves them out and counts them; replay soon after the turns")
    elif not elsewhere:
        yield ok("entries in pools", f"all {len(named):,} places name an entry of the turn's own org")


def _leak(elsewhere: list[tuple[SampledTurn, str]], owners: Mapping[str, set[str]], named: int) -> Finding:
    turn, entry_id = elsewhere[0]
    told = (
        f"{len(elsewhere):,} of {named:,} places in pools name an entry of another org: turn {turn.turn_id!r} of org "
        f"{turn.org_id!r} has {entry_id!r}, which org {min(owners[entry_id])!r} owns"
    )
    if any(len(orgs) > 1 for orgs in owners.values()):
        told += "; but orgs use the same ids here, so that it may be an entry of their own that is gone"
        return warn("leak", told, "look up what such a turn was really shown")
    return fail("leak", told, "mend production's retrieval filter, or org_id in [source], before anything else")


def _owners(checkup: Checkup, entry_ids: list[str]) -> dict[str, set[str]] | None:
    """The orgs that have each entry, where any has; None where looking took too long.

    Nothing where all orgs share one knowledge base.
    """

    def work(connection: Connection) -> dict[str, set[str]]:
        part = checkup.parts.get(connection, "entries")
        found: dict[str, set[str]] = defaultdict(set)
        if entry_ids and part.has("org_id"):
            for row in connection.execute(statements.owners(part, entry_ids, OWNERS_READ)):
                found[row.entry_id].add(str(row.org_id))
        return found

    try:
        return checkup.read("looking for entries in other orgs", work)
    except SourceError as error:
        if was_cancelled(error):
            return None
        raise


def repeats(checkup: Checkup) -> Iterator[Finding]:
    """Whether pools name each entry once."""
    pooled = [turn for turn in checkup.sample.turns if turn.pool is not None]
    twice = [turn for turn in pooled if turn.repeats]
    if twice:
        told = f"{len(twice)} of {len(pooled)} pools name an entry twice, such as that of turn {twice[0].turn_id!r}"
        yield warn(
            "repeats", told, "are these chunks? A replay keeps each entry's best place; map chunk ids to see all"
        )
    elif pooled:
        yield ok("repeats", f"each of {len(pooled)} pools names an entry once")


def drift(checkup: Checkup) -> Iterator[Finding]:
    """Whether entries changed after the turns that they were served on: their diff mixes two causes."""
    if not checkup.read("describing entries", lambda connection: _has_changes(checkup, connection)):
        return
    turns = checkup.sample.turns
    kinds = {"pooled" if turn.served is None else "served" for turn in turns if turn.pool or turn.served}
    kind = " or ".join(sorted(kinds, reverse=True))
    compared = [pair for turn in turns for pair in _changes(checkup, turn)]
    changed = [turn_id for turn_id, is_later in compared if is_later]
    if changed:
        told = (
            f"{len(changed):,} of {len(compared):,} {kind} entries changed after their turn "
            f"({len(changed) / len(compared):.1%}), on {len(set(changed))} of {len(turns)} turns"
        )
        remedy = (
            "read such diffs with care: they mix the reranker with the changed text; newer sessions have less of it"
        )
        yield warn("KB drift", told, remedy)
    elif compared:
        yield ok("KB drift", f"none of {len(compared):,} {kind} entries changed after its turn")


def _changes(checkup: Checkup, turn: SampledTurn) -> Iterator[tuple[str, bool]]:
    """For each entry that was served (where nothing is recorded, pooled): the turn, and whether it changed later."""
    shown = turn.pool if turn.served is None else turn.served
    for entry_id in shown or ():
        updated_at = checkup.held.get((turn.org_id, entry_id))
        if updated_at is not None and turn.asked_at is not None:
            yield turn.turn_id, updated_at > turn.asked_at


def _has_changes(checkup: Checkup, connection: Connection) -> bool:
    part = checkup.part(connection, "entries")
    return part is not None and part.has("updated_at")
