"""What other packages add through entry points: found, told apart and loaded in one way, whatever it is."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from shadowdiff.errors import ConfigError, ShadowdiffError, SpecError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plugins:
    """The kinds of one thing, by scheme. Built-ins register like everybody else."""

    group: str
    """Of entry points."""
    noun: str
    """What one of them is, in a message."""

    def by_scheme(self) -> dict[str, list[EntryPoint]]:
        """Whoever claims each scheme; the same claim twice is one."""
        found: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=self.group):
            same = found.setdefault(point.name, [])
            if point not in same:
                same.append(point)
        return found

    def the_one(self, scheme: str, text: str, names: Iterable[str] = ()) -> EntryPoint:
        """The only claim to a scheme, which stands in the spec `text`; `names` could have been meant instead.

        Raises SpecError where there is none, or more than one.
        """
        kinds, named = self.by_scheme(), sorted(names)
        points = kinds.get(scheme, [])
        if not points:
            near = difflib.get_close_matches(scheme, [*kinds, *named], n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            also = f"; named in shadowdiff.toml: {', '.join(named)}" if named else ""
            raise SpecError(f"no {self.noun} {scheme!r} in '{text}'; installed: {', '.join(sorted(kinds))}{also}{hint}")
        if len(points) > 1:
            claimed = " and ".join(sorted(provider_of(point) for point in points))
            raise SpecError(f"{claimed} both claim the {self.noun} {scheme!r}; uninstall one of them")
        return points[0]

    def loaded(self, point: EntryPoint) -> Any:
        """What the entry point names. Raises ConfigError."""
        try:
            return point.load()
        except Exception as error:  # a stranger's module may raise anything while it is imported
            raise ConfigError(
                f"the {self.noun} {point.name!r} of {provider_of(point)} cannot be imported: {reason_of(error)}"
            ) from error

    def built(self, point: EntryPoint, text: str, build: Callable[[], T]) -> T:
        """What a builder makes of the spec `text`. Raises ShadowdiffError: ConfigError whatever a stranger raised."""
        try:
            return build()
        except ShadowdiffError:
            raise
        except Exception as error:
            raise ConfigError(f"{text} of {provider_of(point)} cannot be built: {reason_of(error)}") from error


def unknown_schemes(names: Collection[str], *kinds: Plugins) -> Iterator[tuple[str, str]]:
    """Of the names, those that are a scheme of none of these kinds; each with what it says and what may be meant."""
    if not names:
        return
    known = sorted({scheme for each in kinds for scheme in each.by_scheme()})
    nouns = " or ".join(each.noun for each in kinds)
    for name in sorted(set(names) - set(known)):
        near = difflib.get_close_matches(name, known, n=1)
        yield name, f"no {nouns} {name!r} is installed" + (f" (did you mean {near[0]!r}?)" if near else "")


def provider_of(point: EntryPoint) -> str:
    """Distribution and version behind an entry point."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.module


def reason_of(error: Exception) -> str:
    """One line, whatever a stranger raised."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
