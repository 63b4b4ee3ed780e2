"""From what the user typed to the sides of a run."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shadowdiff.errors import ConfigError
from shadowdiff.protocols import ListingReranker, Need, PoolReranker, Prepares, Reranker
from shadowdiff.records import Side
from shadowdiff.rerankers.registry import build, resolve
from shadowdiff.rerankers.spec import parse

MAX_SIDES = len(string.ascii_uppercase)


@dataclass(frozen=True, slots=True)
class Contender:
    """A side and the reranker that plays it."""

    side: Side
    reranker: Reranker | PoolReranker

    @property
    def needs(self) -> frozenset[Need]:
        """What it reads of a turn beyond its texts."""
        return self.reranker.needs if isinstance(self.reranker, PoolReranker) else frozenset()


def build_sides(
    baseline: str, others: Sequence[str], names: Mapping[str, str], min_scores: Mapping[str, float]
) -> tuple[Contender, ...]:
    """The baseline as A, the others as B, C, … in the order given. Raises ConfigError, SpecError.

    `names` are the short names of shadowdiff.toml, `min_scores` thresholds by label.
    """
    texts = [baseline, *others]
    if len(texts) > MAX_SIDES:
        raise ConfigError(f"{len(texts)} sides; a run holds at most {MAX_SIDES}")
    labels = string.ascii_uppercase[: len(texts)]
    unknown = sorted(set(min_scores) - set(labels))
    if unknown:
        raise ConfigError(f"--min-score names side {unknown[0]!r}; this run's sides are {', '.join(labels)}")
    return tuple(
        _contender(label, text, names, min_scores.get(label)) for label, text in zip(labels, texts, strict=True)
    )


def prepare(contenders: Sequence[Contender]) -> None:
    """Load and check what can be checked before the first turn. Raises ConfigError."""
    for contender in contenders:
        if isinstance(contender.reranker, Prepares):
            contender.reranker.prepare()


def listing_sides(contenders: Sequence[Contender]) -> tuple[ListingReranker, ...]:
    """The run's rerankers if every one of them lists entries by itself, else none."""
    listing = tuple(c.reranker for c in contenders if isinstance(c.reranker, ListingReranker))
    return listing if len(listing) == len(contenders) else ()


def _contender(label: str, text: str, names: Mapping[str, str], min_score: float | None) -> Contender:
    name, spec = resolve(text, names)
    reranker = build(spec, names)
    return Contender(Side(label, name, str(spec), reranker.fingerprint, min_score), reranker)


def rebuild_sides(sides: Sequence[Side], names: Mapping[str, str]) -> tuple[Contender, ...]:
    """The sides of a stored run. Raises ConfigError where a reranker is not the one that the run began with."""
    contenders = tuple(Contender(side, build(parse(side.spec), names)) for side in sides)
    for contender in contenders:
        if contender.reranker.fingerprint != contender.side.fingerprint:
            raise ConfigError(
                f"side {contender.side.label} ({contender.side.spec}) has changed since the run began; start a new run"
            )
    return contenders
