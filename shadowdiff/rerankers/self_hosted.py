"""What servers of the user's own have in common as sides: the URL is who they are, and they have their own limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shadowdiff.errors import SpecError
from shadowdiff.rerankers.http_forms import BLANK_LOGIT, TEI, Form
from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.remote_side import Endpoint, RemoteSide, Wording, common_options
from shadowdiff.rerankers.spec import Options, Spec

INFO = "/info"


def build_self_hosted(
    spec: Spec,
    context: BuildContext,
    options: Options,
    wording: tuple[Form, dict[str, Any]],
    *,
    path: str = "",
    keys: tuple[str, ...] = (),
    key_needed: bool = False,
    listwise: bool = False,
) -> RemoteSide:
    """The side of a server; `wording` is its form and the fields that are sent. Raises SpecError, ConfigError.

    `batch` is how many documents it takes in a call, where it does not say so itself.
    """
    form, fields = wording
    batch = options.integer("batch", 0)
    common = common_options(options)
    options.finish()
    settings = context.provider(spec.scheme)
    url = (spec.target or settings.url or "").rstrip("/")
    if not url:
        raise SpecError(f"{spec.scheme} needs the URL of a server: {spec.scheme}:http://localhost:8080")
    base, path = (url.removesuffix(form.path), path or form.path)
    asks_limit = form.name == TEI.name and not batch
    endpoint = Endpoint(base, path, keys, key_needed, own=True, info=INFO if asks_limit else None)
    identity = (base, path, form.name)
    form = replace(form, documents=batch) if batch else form
    return RemoteSide(spec, Wording(form, fields, identity, listwise=listwise, **common), endpoint, settings)


def tei_wording(options: Options) -> tuple[Form, dict[str, Any]]:
    """TEI's form by the options `truncate` and `raw_scores`.

    TEI cuts what its model cannot read and does not tell; without `truncate`
    such a turn fails, unless the server cuts anyway.
    """
    raw = options.flag("raw_scores", default=False)
    fields = {"truncate": options.flag("truncate", default=True), "raw_scores": raw}
    return (replace(TEI, blank_score=BLANK_LOGIT) if raw else TEI), fields
