"""`cohere:MODEL`: Cohere's rerank API, version 2."""

from __future__ import annotations

from shadowdiff.rerankers.http_forms import COHERE
from shadowdiff.rerankers.managed import Provider, build_managed
from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.remote_side import RemoteSide
from shadowdiff.rerankers.spec import Options, Spec

DESCRIPTION = "Cohere's rerank API: cohere:rerank-v3.5 (COHERE_API_KEY)"
PROVIDER = Provider("https://api.cohere.com", ("COHERE_API_KEY", "CO_API_KEY"), COHERE, "rerank-v3.5")


def build(spec: Spec, context: BuildContext) -> RemoteSide:
    """`cohere:MODEL[,max_tokens_per_doc=N][,max_chars=N][,input=…][,url=…]`.

    Cohere cuts documents to `max_tokens_per_doc`, 4,096 where nothing is said,
    and does not tell which; only what `max_chars` cuts is counted.
    """
    options = Options(spec)
    longest = options.integer("max_tokens_per_doc", 0)
    return build_managed(spec, context, PROVIDER, options, {"max_tokens_per_doc": longest} if longest else {})
