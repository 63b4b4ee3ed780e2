"""`tei:URL`: a server of Hugging Face's Text Embeddings Inference."""

from __future__ import annotations

from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.remote_side import RemoteSide
from shadowdiff.rerankers.self_hosted import build_self_hosted, tei_wording
from shadowdiff.rerankers.spec import Options, Spec

DESCRIPTION = "Text Embeddings Inference server: tei:http://localhost:8080 (TEI_API_KEY, if it wants one)"
KEYS = ("TEI_API_KEY",)


def build(spec: Spec, context: BuildContext) -> RemoteSide:
    """`tei:URL[,raw_scores=true][,truncate=false][,batch=N][,max_chars=N][,input=…]`."""
    options = Options(spec)
    return build_self_hosted(spec, context, options, tei_wording(options), keys=KEYS)
