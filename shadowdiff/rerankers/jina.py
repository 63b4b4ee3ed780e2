"""`jina:MODEL`: Jina's rerank API."""

from __future__ import annotations

from shadowdiff.rerankers.http_forms import JINA
from shadowdiff.rerankers.managed import Provider, build_managed
from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.remote_side import RemoteSide
from shadowdiff.rerankers.spec import Options, Spec

DESCRIPTION = "Jina's rerank API: jina:jina-reranker-v2-base-multilingual (JINA_API_KEY)"
PROVIDER = Provider("https://api.jina.ai", ("JINA_API_KEY",), JINA, "jina-reranker-v2-base-multilingual")
LISTWISE = "jina-reranker-v3"
"""Reads all documents in one context, so that each score hangs on the others; its scores are cosines."""


def build(spec: Spec, context: BuildContext) -> RemoteSide:
    """`jina:MODEL[,listwise=true|false][,max_chars=N][,input=…][,url=…]`."""
    options = Options(spec)
    listwise = options.flag("listwise", default=spec.target.startswith(LISTWISE))
    return build_managed(spec, context, PROVIDER, options, {}, listwise=listwise)
