"""`voyage:MODEL`: Voyage AI's rerank API."""

from __future__ import annotations

from dataclasses import replace

from shadowdiff.rerankers.http_forms import VOYAGE
from shadowdiff.rerankers.managed import Provider, build_managed
from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.remote_side import RemoteSide
from shadowdiff.rerankers.spec import Options, Spec

DESCRIPTION = "Voyage AI's rerank API: voyage:rerank-2.5 (VOYAGE_API_KEY)"
PROVIDER = Provider("https://api.voyageai.com", ("VOYAGE_API_KEY",), VOYAGE, "rerank-2.5")
FIRST_MODELS = ("rerank-1", "rerank-lite-1")
FIRST_TOKENS = 300_000
"""In a call of the first models; later ones take twice as many."""


def build(spec: Spec, context: BuildContext) -> RemoteSide:
    """`voyage:MODEL[,truncation=true|false][,max_chars=N][,input=…][,url=…]`.

    With truncation, which is Voyage's own default, it cuts what its model cannot
    read and does not tell; without, such a turn fails.
    """
    options = Options(spec)
    fields = {"truncation": options.flag("truncation", default=True)}
    first = spec.target in FIRST_MODELS
    provider = replace(PROVIDER, form=replace(VOYAGE, tokens=FIRST_TOKENS)) if first else PROVIDER
    return build_managed(spec, context, provider, options, fields)
