"""The judge that a spec names."""

from __future__ import annotations

from shadowdiff.judging.protocol import Builder, Judge, JudgeContext
from shadowdiff.plugins import Plugins
from shadowdiff.rerankers.network import network_of, refuse_network
from shadowdiff.rerankers.spec import Spec

JUDGES = Plugins("shadowdiff.judges", "judge")


def build(spec: Spec, context: JudgeContext, *, offline: bool = False) -> Judge:
    """The judge of a spec such as `bedrock:MODEL` or `human`. Raises SpecError, ConfigError.

    Offline, one that would open a network connection is refused with an OfflineError.
    """
    point = JUDGES.the_one(spec.scheme, str(spec))
    builder: Builder = JUDGES.loaded(point)

    def made() -> Judge:
        judge = builder(spec, context)
        if offline:
            refuse_network(f"judge '{spec}'", network_of(judge))
        return judge

    return JUDGES.built(point, f"judge '{spec}'", made)
