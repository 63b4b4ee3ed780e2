"""A short trial of a model file: does it load, and does it give one finite logit per pair?"""

from __future__ import annotations

import math
from pathlib import Path

from shadowdiff.cores import usable_cores
from shadowdiff.errors import ConfigError, first_line
from shadowdiff.protocols import ScoreRequest
from shadowdiff.rerankers.backends import LoadOptions, OnnxFiles, load_backend
from shadowdiff.rerankers.engine import Engine
from shadowdiff.rerankers.pairs import PairEncoder

QUERY = "how do I reset my password"
DOCUMENTS = (
    "Reset",
    "Passwords are reset on the sign-in page.",
    "The weather is fine today, and rain is expected only towards the end of the week, in the north.",
    "To reset a password, open the settings, choose security, and follow the link that is sent to your address.",
)
"""Of several lengths, so that padding takes part."""
TOKENS = 64
BATCH_TOKENS = 1024


def trial_scores(model: Path, tokenizer: Path, dtype: str) -> list[float]:
    """Logits of a few pairs, scored in one batch. Raises ConfigError where the model cannot do that."""
    encoder = PairEncoder(tokenizer, TOKENS)
    options = LoadOptions(backend="ort", dtype=dtype, threads=usable_cores())
    engine = Engine(load_backend(OnnxFiles(model, tokenizer), options), encoder.template, encoder.pad_id, BATCH_TOKENS)
    (pairs,) = encoder.encode([ScoreRequest(QUERY, DOCUMENTS)])
    try:
        scored = {pair: score for batch in engine.score(pairs) for pair, score in batch.items()}
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"it cannot score a pair: {first_line(error)}") from error
    scores = [scored[pair] for pair in pairs]
    if not all(map(math.isfinite, scores)):
        raise ConfigError("its scores are not finite numbers")
    return scores
