"""What the providers' own HTTP APIs have in common as sides: a model, a key, a URL of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from shadowdiff.errors import SpecError
from shadowdiff.rerankers.http_forms import BLANK_COSINE, Form
from shadowdiff.rerankers.registry import BuildContext
from shadowdiff.rerankers.remote_side import Endpoint, RemoteSide, Wording, common_options
from shadowdiff.rerankers.spec import Options, Spec


@dataclass(frozen=True, slots=True)
class Provider:
    """One of them."""

    url: str
    keys: tuple[str, ...]
    form: Form
    example: str
    """A model, for whoever names none."""


def build_managed(
    spec: Spec, context: BuildContext, provider: Provider, options: Options, fields: dict[str, Any], **more: Any
) -> RemoteSide:
    """The side of a provider; `fields` are sent beside the model, `more` is of its Wording. Raises SpecError."""
    given = options.text("url")
    common = common_options(options)
    options.finish()
    if not spec.target:
        raise SpecError(f"{spec.scheme} needs a model: {spec.scheme}:{provider.example}")
    settings = context.provider(spec.scheme)
    form = replace(provider.form, blank_score=BLANK_COSINE) if more.get("listwise") else provider.form
    wording = Wording(form, {"model": spec.target} | fields, **common | more)
    endpoint = Endpoint(given or settings.url or provider.url, form.path, provider.keys)
    return RemoteSide(spec, wording, endpoint, settings)
