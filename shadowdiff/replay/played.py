"""Which rerankers' scores stored runs have used: their sides, and the parts of sides that are made of others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from shadowdiff.errors import ShadowdiffError
from shadowdiff.protocols import Composed, PoolReranker, Reranker
from shadowdiff.rerankers.registry import build
from shadowdiff.rerankers.spec import parse
from shadowdiff.runs import Side


@dataclass(frozen=True, slots=True)
class Parts:
    """Rerankers that only play a part in a side."""

    known: Mapping[str, str]
    """What they are, by fingerprint."""
    unknown: Mapping[str, str]
    """Sides whose parts cannot be told, by spec, and why."""


def parts_of(sides: Sequence[Side], cached: Collection[str], names: Mapping[str, str]) -> Parts:
    """Parts of those sides that have no scores of their own: a side that has is no fusion.

    A run stores the fingerprint of a side and not those of its parts, so the side is
    built anew, by today's files and short names.
    """
    known: dict[str, str] = {}
    unknown: dict[str, str] = {}
    for side in sides:
        if side.fingerprint in cached:
            continue
        try:
            reranker = build(parse(side.spec), names)
        except ShadowdiffError as error:
            unknown[side.spec] = str(error)
            continue
        if isinstance(reranker, Composed) and reranker.fingerprint != side.fingerprint:
            unknown[side.spec] = "it has changed since"
        known |= {part.fingerprint: f"{part.spec} in {side.spec}" for part in _parts(reranker)}
    return Parts(known, unknown)


def _parts(reranker: Reranker | PoolReranker) -> Iterator[Reranker | PoolReranker]:
    if isinstance(reranker, Composed):
        for _, part in reranker.parts:
            yield part
            yield from _parts(part)
