"""Rerankers that are made of others: how a spec names them, and how their failures are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shadowdiff.errors import (
    PlainRerankerError,
    RemoteError,
    RerankerError,
    ShadowdiffError,
    SpecError,
    UnaffordableError,
)
from shadowdiff.protocols import PooledTurn, PoolReranker, Reranker
from shadowdiff.ranking import rank_pool
from shadowdiff.records import Ranking
from shadowdiff.rerankers.registry import BuildContext, resolve
from shadowdiff.rerankers.spec import Spec

Part = tuple[str, Reranker | PoolReranker]
"""By the name or spec under which it was asked for."""


def build_part(spec: Spec, name: str, context: BuildContext, no_nesting: str) -> Part:
    """The part that a spec without options, or a short name of shadowdiff.toml, stands for.

    Raises SpecError, with `no_nesting` where the part is of the whole's own kind.
    """
    part = resolve(name, context.names)[1]
    if part.options and name not in context.names:
        raise SpecError(f"'{spec}': a part takes no options; give {name!r} a short name in shadowdiff.toml")
    if part.scheme == spec.scheme:
        raise SpecError(f"'{spec}': {no_nesting}")
    return name, context.build(part)


def rank_by_part(name: str, turn: PooledTurn, scores: Callable[[], Sequence[float]]) -> Ranking:
    """A part's ranking of the turn. Raises RerankerError naming the part, whatever it raises."""
    try:
        return rank_pool(turn.pool, scores())
    except Exception as error:  # plugins are strangers' code
        raise failure_of_part(name, error) from error


def failure_of_part(name: str, error: Exception) -> RerankerError:
    """The error as the whole's own, which may be stored as far as the part's might."""
    said = f"part {name!r}: {error}"
    if isinstance(error, UnaffordableError):
        return UnaffordableError(said)
    if isinstance(error, PlainRerankerError):
        return PlainRerankerError(said)
    if isinstance(error, RemoteError):
        return RemoteError(said, f"part {name!r}: {error.textless}")
    if isinstance(error, ShadowdiffError):
        return RerankerError(said)
    return RerankerError(f"part {name!r}: {type(error).__name__}: {error}")
