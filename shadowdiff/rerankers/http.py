"""`http:URL`: any server that speaks Cohere's, Jina's or TEI's form: vLLM, Infinity, llama.cpp, a gateway."""

from __future__ import annotations

import re
from typing import Any

from shadowdiff.errors import SpecError
from shadowdiff.rerankers.http_forms import OWN_COHERE, OWN_JINA, Form
from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.remote_side import RemoteSide
from shadowdiff.rerankers.self_hosted import build_self_hosted, tei_wording
from shadowdiff.rerankers.spec import Options, Spec

DESCRIPTION = "server in Cohere's, Jina's or TEI's form: http:http://localhost:8000,model=NAME,form=cohere|jina|tei"
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
PATH = re.compile(r"/[A-Za-z0-9/._~-]*")
TOKENS = re.compile(r"-1|[1-9][0-9]{0,6}")


def build(spec: Spec, context: BuildContext) -> RemoteSide:
    """`http:URL,model=NAME[,form=cohere|jina|tei][,path=/rerank][,key_env=NAME][,batch=N][,max_chars=N][,input=…]`.

    And `listwise=true` for a model that reads all documents at once, `truncate_prompt_tokens=N`
    for vLLM (-1: as many as the model reads), `truncate` and `raw_scores` in TEI's form.
    `key_env` names the environment variable that holds the key.
    """
    options = Options(spec)
    kind = options.choice("form", ("cohere", "jina", "tei"), "cohere")
    listwise = options.flag("listwise", default=False)
    path, key = _path(options), _key_variable(options)
    wording = tei_wording(options) if kind == "tei" else _modelled(spec, options, kind)
    keys = (key,) if key else ()
    return build_self_hosted(
        spec, context, options, wording, path=path, keys=keys, key_needed=bool(key), listwise=listwise
    )


def _modelled(spec: Spec, options: Options, kind: str) -> tuple[Form, dict[str, Any]]:
    """Cohere's and Jina's forms name a model."""
    model, longest = options.text("model"), options.text("truncate_prompt_tokens")
    if not model:
        raise SpecError(f"'{spec}' names no model: add model=NAME, as the server calls it")
    if longest and not TOKENS.fullmatch(longest):
        raise SpecError(f"truncate_prompt_tokens={longest} in '{spec}': must be a number of tokens, or -1")
    fields = {"model": model} | ({"truncate_prompt_tokens": int(longest)} if longest else {})
    return (OWN_COHERE if kind == "cohere" else OWN_JINA), fields


def _key_variable(options: Options) -> str:
    """What is wrong is told without it: it may be the key itself."""
    name = options.text("key_env")
    if name and not VARIABLE.fullmatch(name):
        raise SpecError("key_env names the environment variable that holds the key, in capitals: key_env=MY_KEY")
    return name


def _path(options: Options) -> str:
    path = options.text("path")
    if path and not PATH.fullmatch(path):
        raise SpecError("path begins with a slash and holds no ? and #, as in path=/v1/rerank")
    return path
