"""What a judge must offer, and how one is found: the entry-point group `shadowdiff.judges`.

To add one, put a module in your own package:

    def build(spec, context):          # a Judge
        options = Options(spec)        # shadowdiff.rerankers.spec
        model = options.text("model")
        options.finish()
        return MyJudge(spec, model)

and name it in that package's pyproject.toml:

    [project.entry-points."shadowdiff.judges"]
    mine = "my_package.my_module:build"

Then `shadowdiff judge --judge mine:…` works, and
`shadowdiff.testing.judges.JudgeContract` tells whether it keeps what every judge must.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from shadowdiff.errors import RerankerError
from shadowdiff.judging.comparisons import Question
from shadowdiff.protocols import Network
from shadowdiff.records import Asked, Usage
from shadowdiff.remote.settings import DEFAULT, ProviderSettings
from shadowdiff.rerankers.spec import Spec
from shadowdiff.verdicts import Opinion


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of one question: an opinion, or why there is none; and what it took."""

    found: Opinion | RerankerError
    asked: Asked = field(default_factory=Asked)


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a judge is about to be asked."""

    questions: int
    """All of them."""
    answered: int
    """Of these, before."""
    keeps_texts: bool
    """Whether the words of an answer are stored, or only the choice."""


class StoppedError(Exception):
    """A person who judges has had enough for now: what was said stays, nothing more is asked."""


class BackError(Exception):
    """A person who judges wants to answer the question before this one again; what they said of it stands till then."""


class Judge(Protocol):
    """Whoever compares two lists. May be asked by `concurrency` threads at a time."""

    spec: Spec
    model: str
    """As its provider calls it; a person's name."""
    network: Network | None
    """What it connects to; None: nothing. Texts that leave the machine are redacted first."""
    both_orders: bool
    """Whether it is asked in both orders. A person, who remembers, is asked in one."""
    is_person: bool
    """Whether it is somebody at this terminal, who reads what stands there."""
    concurrency: int

    def key(self, question: Question) -> str:
        """SHA-256 (hex) of all that decides its answer: what it is, and everything it is shown."""
        ...

    def shown(self, question: Question) -> str:
        """All that it is shown, word for word: so that a verdict can be checked."""
        ...

    def estimate(self, question: Question) -> Usage:
        """What asking would use. Sends nothing."""
        ...

    def compare(self, question: Question) -> Judged:
        """Its opinion. Raises StoppedError where a person wants to stop, BackError where they want to go back."""
        ...

    @property
    def stopped(self) -> str | None:
        """Why it is asked nothing any more; None: it still is."""
        ...

    def prepare(self, ahead: Ahead) -> None:
        """Whatever takes time before the first question. Raises ConfigError."""
        ...

    def close(self) -> None:
        """Give up what is under way and ask nothing more."""
        ...


@dataclass(frozen=True, slots=True)
class JudgeContext:
    """What a builder may need beside its spec."""

    providers: Mapping[str, ProviderSettings] = field(default_factory=dict)
    """[providers] of shadowdiff.toml, by scheme."""
    author: Callable[[], str] = lambda: ""
    """Who sits at the terminal. Raises ConfigError where that is not known."""
    color: bool = False
    """Whether what they see there is coloured."""

    def provider(self, scheme: str) -> ProviderSettings:
        """How the scheme's provider is to be asked."""
        return self.providers.get(scheme, DEFAULT)


class Builder(Protocol):
    """What an entry point names."""

    def __call__(self, spec: Spec, context: JudgeContext) -> Judge:
        """Check the spec and make the judge; connect later. Raises SpecError, ConfigError."""
        ...
