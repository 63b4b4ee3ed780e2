"""What every runtime checks of a graph: the inputs and the output of a cross-encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shadowdiff.errors import ConfigError
from shadowdiff.rerankers.engine import Batch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REQUIRED_INPUTS = frozenset({"input_ids", "attention_mask"})
KNOWN_INPUTS = REQUIRED_INPUTS | {"token_type_ids"}
INTEGERS = frozenset({"int64", "int32"})
LOGITS = "logits"


def check_inputs(model: Path, types: Mapping[str, str]) -> None:
    """Refuse a graph that does not take a cross-encoder's inputs, given with their types. Raises ConfigError."""
    if not types.keys() >= REQUIRED_INPUTS or not types.keys() <= KNOWN_INPUTS:
        raise ConfigError(
            f"{model} has the inputs {', '.join(sorted(types))}; a cross-encoder has "
            "input_ids, attention_mask and, for some, token_type_ids"
        )
    odd = sorted(name for name, kind in types.items() if kind not in INTEGERS)
    if odd:
        raise ConfigError(f"{model} takes {odd[0]} as {types[odd[0]]}; expected int64 or int32")


def check_output(model: Path, shape: Sequence[Any]) -> None:
    """Refuse an output that is no logit; unknown dimensions are anything but an int. Raises ConfigError."""
    if not (len(shape) == 1 or (len(shape) == 2 and (shape[1] == 1 or not isinstance(shape[1], int)))):
        raise ConfigError(no_logit(model, list(shape)))


def feed(batch: Batch, types: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """The batch as the graph's inputs want it."""
    return {name: getattr(batch, name).astype(kind, copy=False) for name, kind in types.items()}


def logits_of(model: Path, batch: Batch, output: NDArray[Any]) -> NDArray[np.float64]:
    """One logit per pair, shape (pairs,). Raises ConfigError where the model gives something else."""
    import numpy as np

    if output.shape not in {(len(batch.pairs),), (len(batch.pairs), 1)}:
        raise ConfigError(no_logit(model, list(output.shape)))
    logits: NDArray[np.float64] = output.astype(np.float64).reshape(len(batch.pairs))
    return logits


def no_logit(model: Path, shape: object) -> str:
    """What to tell somebody whose model gives something else than one logit per pair."""
    return (
        f"{model} gives an output of shape {shape}; it is not a single-logit cross-encoder, "
        "which gives one score per pair: shape (batch, 1)"
    )
