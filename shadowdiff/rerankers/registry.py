"""Kinds of reranker, found through the entry-point group `shadowdiff.rerankers`; built-ins register like plugins.

To add a kind, put a module in your own package:

    from shadowdiff.rerankers.spec import Options

    DESCRIPTION = "one line for `shadowdiff rerankers`"
    EXTRA = ("torch", "gpu")           # only if it needs a package of your extra `gpu`

    def build(spec, context):          # a shadowdiff.protocols.Reranker or PoolReranker
        options = Options(spec)
        model = options.text("model")
        options.finish()
        return MyReranker(spec, model)

and name it in that package's pyproject.toml:

    [project.entry-points."shadowdiff.rerankers"]
    mine = "my_package.my_module:build"

Then `-B mine:target,model=x` works, and `shadowdiff.testing.RerankerContract`
tells whether it keeps what every reranker must. Import heavy packages inside
`build` or later, never at the top of the module.

A reranker has an attribute `network`: None where it opens no connection, else a
shadowdiff.protocols.Network that says what it contacts. Texts that leave the
machine are redacted first, and `offline` refuses what connects; a reranker
without the attribute is taken to do the most.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from shadowdiff.errors import SpecError
from shadowdiff.plugins import Plugins, provider_of, reason_of
from shadowdiff.protocols import PoolReranker, Reranker
from shadowdiff.remote.settings import DEFAULT, NO_PROVIDERS, ProviderSettings
from shadowdiff.rerankers.network import network_of, refuse_network
from shadowdiff.rerankers.spec import Spec, parse

GROUP = "shadowdiff.rerankers"
KINDS = Plugins(GROUP, "reranker")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class BuildContext:
    """What a builder may need beside its spec."""

    names: Mapping[str, str]
    """Short names of shadowdiff.toml."""
    build: Callable[[Spec], Reranker | PoolReranker]
    """Builds another reranker, for kinds that are made of others."""
    providers: Mapping[str, ProviderSettings] = field(default_factory=dict)
    """[providers] of shadowdiff.toml, by scheme; a scheme without has the defaults."""
    cache: Path | None = None
    """Where what is made of texts may be kept on this machine; None: nowhere."""

    def provider(self, scheme: str) -> ProviderSettings:
        """How the scheme's provider is to be asked."""
        return self.providers.get(scheme, DEFAULT)


class Builder(Protocol):
    """What an entry point names."""

    def __call__(self, spec: Spec, context: BuildContext) -> Reranker | PoolReranker:
        """Check the spec and make the reranker; load models later. Raises SpecError, ConfigError."""
        ...


@dataclass(frozen=True, slots=True)
class Installed:
    """One installed kind."""

    scheme: str
    description: str
    provider: str
    """Distribution and version."""
    missing: str | None = None
    """What to install before it can be used."""


def installed() -> list[Installed]:
    """Every kind that is installed, by scheme, working or not."""
    return [_described(scheme, points) for scheme, points in sorted(KINDS.by_scheme().items())]


def resolve(text: str, names: Mapping[str, str]) -> tuple[str, Spec]:
    """The name to show and the spec that a string stands for: a short name of shadowdiff.toml, or a spec itself.

    Raises SpecError for what is neither, and for a short name that hides a kind,
    refers to another name or could not stand in a fusion.
    """
    wanted = text.strip()
    if wanted in names:
        return wanted, _named(wanted, names)
    spec = parse(wanted)
    return str(spec), spec


def build(
    spec: Spec,
    names: Mapping[str, str] | None = None,
    *,
    offline: bool = False,
    providers: Mapping[str, ProviderSettings] = NO_PROVIDERS,
    cache: Path | None = None,
) -> Reranker | PoolReranker:
    """The reranker that a spec names. Raises SpecError, ConfigError.

    Offline, one that would open a network connection is refused with an
    OfflineError before anything is asked of it, also as a part of another.
    `providers` say how remote ones are asked, by scheme; under `cache` may be
    kept what is made of texts.
    """
    point = KINDS.the_one(spec.scheme, str(spec), names or {})
    context = BuildContext(
        names or {},
        lambda part: build(part, names, offline=offline, providers=providers, cache=cache),
        providers,
        cache,
    )
    builder: Builder = KINDS.loaded(point)

    def made() -> Reranker | PoolReranker:
        reranker = builder(spec, context)
        if offline:
            refuse_network(f"'{spec}'", network_of(reranker))
        return reranker

    return KINDS.built(point, f"'{spec}'", made)


def _named(name: str, names: Mapping[str, str]) -> Spec:
    """The spec behind a short name."""
    if not NAME.fullmatch(name):
        raise SpecError(f"[rerankers] {name!r} in shadowdiff.toml: a name holds letters, digits, '-', '_' and '.'")
    if name in KINDS.by_scheme():
        raise SpecError(f"[rerankers] {name!r} in shadowdiff.toml hides the reranker of that name; rename it")
    if names[name].strip() in names:
        raise SpecError(f"[rerankers] {name!r} in shadowdiff.toml stands for another name; write the spec itself")
    return parse(names[name])


def _described(scheme: str, points: list[EntryPoint]) -> Installed:
    provider = " and ".join(sorted(provider_of(point) for point in points))
    if len(points) > 1:
        return Installed(scheme, "claimed twice", provider, "uninstall one of them")
    try:
        module: Any = import_module(points[0].module)
    except Exception as error:
        return Installed(scheme, "cannot be imported", provider, reason_of(error))
    return Installed(scheme, getattr(module, "DESCRIPTION", ""), provider, _missing(module, points[0]))


def _missing(module: Any, point: EntryPoint) -> str | None:
    extra: tuple[str, str] | None = getattr(module, "EXTRA", None)
    if extra is None or find_spec(extra[0]) is not None:
        return None
    return install_hint(extra[1], point.dist.name if point.dist else "shadowdiff")


def install_hint(extra: str, distribution: str = "shadowdiff") -> str:
    """The command that installs an extra."""
    return f"pip install '{distribution}[{extra}]'"
