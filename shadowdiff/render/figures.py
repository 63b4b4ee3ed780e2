"""What the figures of a history or a comparison are called, and with how many digits they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shadowdiff.history import kind_of
from shadowdiff.render.amounts import NOT_KNOWN, duration, usd

HEADINGS = {
    "changed_share": "changed",
    "only_in_a_per_session": "only {a}",
    "only_in_b_per_session": "only {b}",
    "overlap": "overlap",
    "noise_overlap": "noise",
    "p95_seconds": "p95 {b}",
    "failed_share": "failed",
    "cost_usd": "cost",
}
"""By kind of figure; {a} and {b} are labels of sides."""
IN_WORDS = {
    "changed_share": "sessions that differ",
    "only_in_a_per_session": "only in {a}, per session",
    "only_in_b_per_session": "only in {b}, per session",
    "overlap": "overlap",
    "noise_overlap": "overlap of {a} with itself, noise",
    "p95_seconds": "p95 latency, {b}",
    "failed_share": "failed turns",
    "cost_usd": "cost",
}
SHARES = frozenset({"changed_share", "failed_share"})


def is_of_pair(name: str) -> bool:
    """Whether a figure is one of a side against A, and not of one side or of the whole run."""
    return "." in name and not name.startswith("p95_seconds")


def has_several_pairs(names: Iterable[str]) -> bool:
    """Whether the figures are of more than one side against A, so that each must say of which."""
    return len({name.partition(".")[2] for name in names if is_of_pair(name)}) > 1


def heading(name: str, a: str, *, of_several: bool) -> str:
    """A figure (`overlap.B`) as a column is headed; with the side's label where there are several."""
    return _named(HEADINGS, name, a, of_several=of_several)


def in_words(name: str, a: str, *, of_several: bool) -> str:
    """A figure as a row is labelled."""
    return _named(IN_WORDS, name, a, of_several=of_several)


def written(name: str, value: float | None) -> str:
    """A figure with as many digits as mean something."""
    return NOT_KNOWN if value is None else writer(name)(value)


def writer(name: str) -> Callable[[float], str]:
    """How the figure is written where it has a value."""
    kind = kind_of(name)
    if kind in SHARES:
        return "{:.1%}".format
    return {"p95_seconds": duration, "cost_usd": usd}.get(kind, _plain)


def difference(name: str, before: float | None, after: float | None) -> str:
    """How a figure moved: shares in points, latency in per cent, the others as they are; nothing where one lacks."""
    if before is None or after is None:
        return ""
    if kind_of(name) in SHARES:
        return f"{100 * (after - before):+.1f} points"
    if kind_of(name) == "p95_seconds":
        return f"{after / before - 1:+.0%}" if before else ""
    return f"{after - before:+.2f}"


def _plain(value: float) -> str:
    """With powers of ten only where no such figure can be."""
    return f"{value:.2f}" if abs(value) < 1e9 else f"{value:.3g}"


def _named(words: dict[str, str], name: str, a: str, *, of_several: bool) -> str:
    kind, _, label = name.partition(".")
    if kind not in words:
        return name
    text = words[kind].format(a=a, b=label)
    return f"{label}: {text}" if of_several and is_of_pair(name) else text
