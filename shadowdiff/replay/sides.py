"""From what the user typed to the sides of a run."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shadowdiff.config import PrivacySettings
from shadowdiff.errors import ConfigError, OfflineError, SpecError
from shadowdiff.privacy import NO_REDACTION, Redactor, redactor
from shadowdiff.protocols import (
    Asks,
    Cascades,
    Composed,
    Fuses,
    ListingReranker,
    Need,
    PooledTurn,
    PoolReranker,
    Prepares,
    Reranker,
)
from shadowdiff.remote.settings import NO_PROVIDERS, ProviderSettings
from shadowdiff.rerankers.network import network_of
from shadowdiff.rerankers.registry import build, resolve
from shadowdiff.rerankers.spec import Spec, parse
from shadowdiff.runs import Price, Run, RunConfig, Side

MAX_SIDES = len(string.ascii_uppercase)
NO_SIDE = "none"
"""In place of production's side: no side is."""
NO_PRIVACY = PrivacySettings()


@dataclass(frozen=True, slots=True)
class Contender:
    """A side and the reranker that plays it."""

    side: Side
    reranker: Reranker | PoolReranker
    redactor: Redactor = NO_REDACTION
    """What texts pass through before the reranker sees them: something only where it sends them on."""

    @property
    def needs(self) -> frozenset[Need]:
        """What it reads of a turn beyond its texts."""
        return self.reranker.needs if isinstance(self.reranker, PoolReranker) else frozenset()

    def seen(self, turns: Sequence[PooledTurn]) -> list[PooledTurn]:
        """The turns as the reranker may see them: what it ranks, caches and is timed on."""
        if not self.redactor:
            return list(turns)
        return [replace(turn, turn=self.redactor.turn(turn.turn), pool=self.redactor.pool(turn.pool)) for turn in turns]


def build_sides(
    baseline: str,
    others: Sequence[str],
    names: Mapping[str, str],
    min_scores: Mapping[str, float],
    privacy: PrivacySettings = NO_PRIVACY,
    providers: Mapping[str, ProviderSettings] = NO_PROVIDERS,
    cache: Path | None = None,
) -> tuple[Contender, ...]:
    """The baseline as A, the others as B, C, … in the order given. Raises ConfigError, SpecError.

    `names` are the short names of shadowdiff.toml, `min_scores` thresholds by label.
    `privacy` decides which sides are refused, and which see redacted texts;
    `providers` how remote ones are asked; under `cache` they may keep what they
    make of texts.
    """
    texts = [baseline, *others]
    if len(texts) > MAX_SIDES:
        raise ConfigError(f"{len(texts)} sides; a run holds at most {MAX_SIDES}")
    labels = string.ascii_uppercase[: len(texts)]
    unknown = sorted(set(min_scores) - set(labels))
    if unknown:
        raise ConfigError(f"--min-score names side {unknown[0]!r}; this run's sides are {', '.join(labels)}")
    redact = redactor(privacy)
    built = []
    for label, text in zip(labels, texts, strict=True):
        name, spec = resolve(text, names)
        reranker = _built(label, spec, names, privacy, providers, cache)
        _check_threshold(label, reranker, min_scores)
        side = Side(label, name, str(spec), reranker.fingerprint, min_scores.get(label))
        built.append(_contender(side, reranker, redact))
    return tuple(built)


def _check_threshold(label: str, reranker: Reranker | PoolReranker, min_scores: Mapping[str, float]) -> None:
    if label in min_scores and isinstance(reranker, Cascades):
        raise ConfigError(
            f"--min-score {label}: a cascade's scores are its gate's on some turns, another reranker's on the others; "
            "no threshold fits both"
        )


class Loading:
    """Loads what sides need, each reranker once; what the cache may answer for, only when it must."""

    def __init__(self, answered: Callable[[str], bool] = lambda fingerprint: False) -> None:
        """`answered`: whether there are scores under a fingerprint: then its model could be loaded before."""
        self._answered = answered
        self._loaded: set[int] = set()

    def begin(self, contenders: Sequence[Contender]) -> None:
        """Load and check what can be checked before the first turn. Raises ConfigError."""
        for contender in contenders:
            for reranker in scored_parts(contender.reranker):
                if isinstance(reranker, PoolReranker) or not self._answered(reranker.fingerprint):
                    self.load(reranker)

    def load(self, reranker: Reranker | PoolReranker) -> None:
        """Load it if it has not been. Raises ConfigError."""
        if isinstance(reranker, Prepares) and id(reranker) not in self._loaded:
            reranker.prepare()
        self._loaded.add(id(reranker))


def prepare(contenders: Sequence[Contender]) -> None:
    """Load and check what can be checked before the first turn. Raises ConfigError."""
    Loading().begin(contenders)


def scored_parts(reranker: Reranker | PoolReranker) -> list[Reranker | PoolReranker]:
    """What is scored by itself: the parts of a fusion or a cascade, else the reranker."""
    if isinstance(reranker, Cascades):
        return [inner for _, part in reranker.parts for inner in scored_parts(part)]
    return [part for _, part in reranker.parts] if isinstance(reranker, Fuses) else [reranker]


def asking_parts(reranker: Reranker | PoolReranker) -> list[Asks]:
    """What of a reranker asks providers: itself, or parts of it."""
    own = [reranker] if isinstance(reranker, Asks) else []
    parts = reranker.parts if isinstance(reranker, Composed) else ()
    return own + [asking for _, part in parts for asking in asking_parts(part)]


def asking_sides(contenders: Sequence[Contender]) -> tuple[str, ...]:
    """Labels of the sides of which something asks providers."""
    return tuple(contender.side.label for contender in contenders if asking_parts(contender.reranker))


def stopped_because(reranker: Reranker | PoolReranker) -> str | None:
    """Why it, or a part of it, asks no provider any more."""
    return next(filter(None, (asking.stopped for asking in asking_parts(reranker))), None)


def close(contenders: Sequence[Contender]) -> None:
    """Let every provider go; what is under way is given up."""
    for contender in contenders:
        for asking in asking_parts(contender.reranker):
            asking.close()


def listing_sides(contenders: Sequence[Contender]) -> tuple[ListingReranker, ...]:
    """The run's rerankers if every one of them lists entries by itself, else none."""
    listing = tuple(c.reranker for c in contenders if isinstance(c.reranker, ListingReranker))
    return listing if len(listing) == len(contenders) else ()


def with_production(
    config: RunConfig,
    contenders: Sequence[Contender],
    names: Mapping[str, str],
    *,
    asked: str | None = None,
    configured: str | None = None,
) -> RunConfig:
    """The configuration with the label of the side that is production's own reranker. Raises ConfigError, SpecError.

    `asked` for on the command line, it must be a side of the run: a label, a
    short name or a spec. As `configured` in shadowdiff.toml (a name or a spec)
    the run may lack it, and then no side is. NO_SIDE says so outright. Where
    nobody says anything, it is assumed to be the baseline, unless that lists
    entries by itself: what was recorded reproduces itself, and proves nothing.
    """
    sides = [contender.side for contender in contenders]
    if asked is not None:
        return replace(config, production=_asked_for(asked.strip(), sides, names))
    if configured is not None:
        return replace(config, production=_named(configured.strip(), sides, names))
    if isinstance(contenders[0].reranker, ListingReranker):
        return config
    return replace(config, production=sides[0].label, production_assumed=True)


def with_prices(config: RunConfig, contenders: Sequence[Contender], prices: Mapping[str, Price]) -> RunConfig:
    """The configuration with what each side's provider charges, by label.

    A price is found under the side's short name, its spec, or that without options;
    for a side of which one part asks a provider, under that part's as well.
    """
    found = {each.side.label: _price(each, prices) for each in contenders if asking_parts(each.reranker)}
    return replace(config, prices={label: price for label, price in found.items() if price is not None})


def _price(contender: Contender, prices: Mapping[str, Price]) -> Price | None:
    names = [contender.side.name, *contender.reranker.spec.priced_as]
    if isinstance(contender.reranker, Composed) and len(asking_parts(contender.reranker)) == 1:
        asking = [(name, part) for name, part in contender.reranker.parts if asking_parts(part)]
        names += [known for name, part in asking for known in (name, *part.spec.priced_as)]
    return next((prices[name] for name in names if name in prices), None)


def _asked_for(text: str, sides: Sequence[Side], names: Mapping[str, str]) -> str | None:
    if text == NO_SIDE:
        return None
    labels = [side.label for side in sides if side.label == text.upper()]
    try:
        found = labels[0] if labels else _named(text, sides, names)
    except SpecError:
        found = None
    if found is None:
        listed = ", ".join(f"{side.label} {side.name}" for side in sides)
        raise ConfigError(f"--production {text!r} is no side of this run; use one of {listed}, or {NO_SIDE!r}")
    return found


def _named(text: str, sides: Sequence[Side], names: Mapping[str, str]) -> str | None:
    if text == NO_SIDE:
        return None
    spec = str(resolve(text, names)[1])
    return next((side.label for side in sides if spec == side.spec), None)


def redacted_sides(contenders: Sequence[Contender]) -> tuple[str, ...]:
    """Labels of the sides that see redacted texts."""
    return tuple(contender.side.label for contender in contenders if contender.redactor)


def rebuild_sides(
    run: Run,
    names: Mapping[str, str],
    privacy: PrivacySettings = NO_PRIVACY,
    providers: Mapping[str, ProviderSettings] = NO_PROVIDERS,
    cache: Path | None = None,
) -> tuple[Contender, ...]:
    """The sides of a stored run. Raises ConfigError where one is, or sees, not what it was when the run began."""
    redact = redactor(privacy)
    contenders = tuple(
        _contender(side, _built(side.label, parse(side.spec), names, privacy, providers, cache), redact)
        for side in run.sides
    )
    for contender in contenders:
        if contender.reranker.fingerprint != contender.side.fingerprint:
            raise ConfigError(
                f"side {contender.side.label} ({contender.side.spec}) has changed since the run began; start a new run"
            )
    if redacted_sides(contenders) != run.config.redacted_sides:
        raise ConfigError("[privacy] redacts for other sides than it did when the run began; start a new run")
    return contenders


def _contender(side: Side, reranker: Reranker | PoolReranker, redact: Redactor) -> Contender:
    network = network_of(reranker)
    return Contender(side, reranker, redact if network is not None and network.sends_texts else NO_REDACTION)


def _built(
    label: str,
    spec: Spec,
    names: Mapping[str, str],
    privacy: PrivacySettings,
    providers: Mapping[str, ProviderSettings],
    cache: Path | None,
) -> Reranker | PoolReranker:
    try:
        return build(spec, names, offline=privacy.offline, providers=providers, cache=cache)
    except OfflineError as error:
        raise OfflineError(f"side {label}: {error}") from error
