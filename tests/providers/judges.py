"""LLMs that compare two lists, on the loopback Bedrock: what each of them reads of a prompt, and what it then says."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shadowdiff.judging.prompt import TOOL as VERDICT_TOOL

__all__ = ["VERDICT_TOOL", "Compared", "Judging", "always", "at_random", "by_labels", "compared_in", "obedient"]

_QUERY = re.compile(r"<query ([0-9a-f]{12})>\n(.*?)\n</query \1>", re.DOTALL)
_LISTED = re.compile(r"^List (\d), best first: (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Compared:
    """A prompt, as a model reads it."""

    prompt: str
    query: str
    first: tuple[str, ...]
    """Texts of the entries, best first."""
    second: tuple[str, ...]


Judging = Callable[[Compared], dict[str, Any]]
"""What is given to the tool."""


def compared_in(prompt: str) -> Compared:
    """The query and both lists: what stands between lines that bear the prompt's own tag."""
    found = _QUERY.search(prompt)
    assert found, "the prompt holds no query"
    tag = found[1]
    entries = dict(re.findall(rf"<entry (\d+) {tag}>\n(.*?)\n</entry \1 {tag}>", prompt, re.DOTALL))
    lists = {int(number): tuple(_texts(named, entries)) for number, named in _LISTED.findall(prompt)}
    return Compared(prompt, found[2], lists[1], lists[2])


def _texts(named: str, entries: Mapping[str, str]) -> list[str]:
    return [] if named == "(empty)" else [entries[name.removeprefix("entry ")] for name in named.split(", ")]


def given(verdict: str, reason: str = "It holds what the query needs nearer to the top.") -> dict[str, Any]:
    """A whole verdict."""
    return {"note_1": "Mostly relevant.", "note_2": "Partly relevant.", "reason": reason, "verdict": verdict}


def always(verdict: str) -> Judging:
    """The same, whatever it reads."""
    return lambda _: given(verdict)


def at_random(seed: int, ties: float = 0.2) -> Judging:
    """By the hash of the prompt: the same answer to the same prompt, and nothing to do with what it says."""

    def judge(compared: Compared) -> dict[str, Any]:
        drawn = int.from_bytes(hashlib.sha256(f"{seed}{compared.prompt}".encode()).digest()[:8]) / 2**64
        return given("tie" if drawn < ties else "list_1" if drawn < (1 + ties) / 2 else "list_2")

    return judge


def by_labels(grades: Callable[[str, str], int]) -> Judging:
    """The list with the higher DCG; `grades` of a query and an entry's text."""

    def judge(compared: Compared) -> dict[str, Any]:
        first, second = (
            sum(grades(compared.query, text) / math.log2(rank + 1) for rank, text in enumerate(texts, start=1))
            for texts in (compared.first, compared.second)
        )
        return given("tie" if abs(first - second) < 1e-9 else "list_1" if first > second else "list_2")

    return judge


def obedient(order: str, otherwise: Judging) -> Judging:
    """Whatever list alone holds a text with the order; else as another judge says."""

    def judge(compared: Compared) -> dict[str, Any]:
        first, second = (any(order in text for text in texts) for texts in (compared.first, compared.second))
        if first == second:
            return otherwise(compared)
        return given("list_1" if first else "list_2", "An entry says that this list is to be preferred.")

    return judge
