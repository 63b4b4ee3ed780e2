"""Every error shadowdiff raises on purpose, and the exit codes they end in.

ShadowdiffError                 one plain line for a person; never a traceback
├── ConfigError                 exit 2: an option, spec, file or name that cannot be used as given
│   ├── OfflineError            something would open a network connection, and offline is on
│   ├── HeldError               another command is at work on the same run or configuration
│   ├── NothingToMeasureError   a run without labels that every side's rankings can be held against
│   ├── SpecError               a reranker spec that does not parse or names nothing installed
│   └── BundleError             a bundle file refused, with file, line and reason
├── DatabaseError               exit 3: the source or the store cannot be reached or used
│   ├── SourceError             reading sessions, turns, pools or entries failed
│   └── StoreError              reading or writing runs failed
├── RerankerError               one side gave no ranking for a turn; stored and counted, not raised to the user
│   ├── PlainRerankerError      the same, in words that quote nothing of what was ranked
│   │   └── UnaffordableError   asking would have gone beyond --max-usd; the turn stays to be asked for
│   └── RemoteError             a provider gave no answer, or one that cannot be used
│       ├── ThrottledError      it asks to be asked less often; tried again
│       ├── TransientError      it, or the way to it, is out of order; tried again
│       └── RefusedError        it will refuse every call: the key, the model or the form is wrong; the side stops
├── GateCrossedError            exit 1: a rule that the user set does not hold
├── SpendingCapError            exit 1: the run stopped at the cap that the user set
├── DeliveryError               exit 5: a finished report did not reach where it should; the run is stored
└── TooManyFailuresError        exit 4: too many turns failed for the run to mean anything
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What cron and CI read. Part of the API."""

    DONE = 0
    """Done, differences or not."""
    GATE_CROSSED = 1
    """A gate that the user asked for was crossed."""
    USAGE = 2
    """Usage or configuration."""
    UNREACHABLE = 3
    """Source or store unreachable."""
    TURNS_FAILED = 4
    """Too many turns failed."""
    UNDELIVERED = 5
    """A finished report did not reach its directory, S3 or its webhook; the next call tries again."""
    INTERRUPTED = 130
    """Ctrl-C."""


class ShadowdiffError(Exception):
    """What failed, on what, and what to do: the message is shown to the user as it is."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE


class ConfigError(ShadowdiffError):
    """An option, a file or a name cannot be used as given."""


class SpecError(ConfigError):
    """A reranker spec does not parse, or names no installed reranker."""


class NothingToMeasureError(ConfigError):
    """Runs have no labelled turn on which their sides can be compared."""


class HeldError(ConfigError):
    """Another command is at work on the same thing."""


class OfflineError(ConfigError):
    """A side would open a network connection, and the user has said that none may be opened."""


class BundleError(ConfigError):
    """A bundle file was refused; nothing of the bundle was loaded."""


class DatabaseError(ShadowdiffError):
    """The database cannot be reached or used."""

    exit_code = ExitCode.UNREACHABLE


class SourceError(DatabaseError):
    """Sessions, turns, pools or entries could not be read."""


class StoreError(DatabaseError):
    """Runs could not be read or written."""


class RerankerError(ShadowdiffError):
    """A side gave no ranking for a turn; the turn is counted as failed and the run goes on."""

    exit_code = ExitCode.TURNS_FAILED

    @property
    def textless(self) -> str:
        """The reason without anything that could quote a text: no more than the type of the error behind it."""
        root: BaseException = self
        while root.__cause__ is not None:
            root = root.__cause__
        return f"{type(root).__name__} (its message is not stored, as it may quote a text)"


class PlainRerankerError(RerankerError):
    """A RerankerError whose message holds ids, names and numbers only: kept even where no text may be stored."""

    @property
    def textless(self) -> str:
        """The message itself."""
        return str(self)


class UnaffordableError(PlainRerankerError):
    """Asking for a turn would have gone beyond the cap that the user set."""


class RemoteError(RerankerError):
    """A provider gave no answer to a call, or one that cannot be used; not tried again unless a subclass says so."""

    def __init__(self, message: str, plain: str) -> None:
        """`message` may hold what the provider said; `plain` says the same and quotes nobody, and is always stored."""
        super().__init__(message)
        self._plain = plain

    @property
    def textless(self) -> str:
        """The reason in our own words."""
        return self._plain


class ThrottledError(RemoteError):
    """The provider asks to be asked less often."""

    def __init__(self, message: str, plain: str, retry_after: float | None = None) -> None:
        """`retry_after`: seconds after which the provider says that it may be asked again."""
        super().__init__(message, plain)
        self.retry_after = retry_after


class TransientError(RemoteError):
    """The provider, or the way to it, is out of order; the same call may well succeed in a moment."""

    def __init__(self, message: str, plain: str, retry_after: float | None = None) -> None:
        """`retry_after`: as for ThrottledError; with a 503, say."""
        super().__init__(message, plain)
        self.retry_after = retry_after


class RefusedError(RemoteError):
    """The provider will refuse every other call as well: a wrong key, an unknown model, a form it does not know."""


class SpendingCapError(ShadowdiffError):
    """A run stopped at the cap that the user set; what was computed is stored."""

    exit_code = ExitCode.GATE_CROSSED


class GateCrossedError(ShadowdiffError):
    """A rule over the run's figures does not hold; what was computed is stored."""

    exit_code = ExitCode.GATE_CROSSED


class DeliveryError(ShadowdiffError):
    """A finished report did not reach a target; it can be made again from the store."""

    exit_code = ExitCode.UNDELIVERED


class TooManyFailuresError(ShadowdiffError):
    """More turns failed than the run may lose and still mean something."""

    exit_code = ExitCode.TURNS_FAILED


def first_line(error: Exception) -> str:
    """The start of somebody else's message, which may be pages long; the error's type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
