"""The files of a night's report, each made from the store alone: so they can be made again as often as it takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import TextIO

from shadowdiff.nights import Night, Surroundings
from shadowdiff.protocols import Renderer
from shadowdiff.records import SessionOutcome
from shadowdiff.render.formats import renderer_for
from shadowdiff.render.tonight import replayed_sentence
from shadowdiff.runs import Run

FILES: Mapping[str, str] = {
    "summary.md": "markdown",
    "run.json": "json",
    "report.html": "html",
    "junit.xml": "junit",
}
"""Names of the files, and the formats that they are in."""
Write = Callable[[TextIO], None]


@dataclass(frozen=True, slots=True)
class NightReport:
    """A night, its run, and what stands beside it."""

    night: Night
    run: Run | None
    """None where there was no session to replay."""
    surroundings: Surroundings
    outcomes: Callable[[bool], Iterator[SessionOutcome]]
    """The run's sessions, oldest first, or with True the most different first; read anew at each call."""

    def files(self) -> dict[str, Write]:
        """What writes each file."""
        if self.run is None:
            return {
                "summary.md": partial(_write_nothing_replayed, self.night),
                "run.json": partial(_write_no_run, self.night),
            }
        return {name: partial(self._write, self.run, kind) for name, kind in FILES.items()}

    def _write(self, run: Run, kind: str, out: TextIO) -> None:
        is_short = kind == "markdown"
        renderer: Renderer = renderer_for(kind, only_changed=is_short, surroundings=self.surroundings)
        if is_short:
            out.write(f"# night {self.night.name}\n\n{replayed_sentence(self.night, run)}\n\n")
        outcomes: Iterable[SessionOutcome] = self.outcomes(is_short)
        renderer.render(run, outcomes, out)


def _write_nothing_replayed(night: Night, out: TextIO) -> None:
    out.write(f"# night {night.name}\n\n{replayed_sentence(night, None)}\n")


def _write_no_run(night: Night, out: TextIO) -> None:
    json.dump({"night": night.name, "run_id": None, "since": _iso(night, "since"), "until": _iso(night, "until")}, out)
    out.write("\n")


def _iso(night: Night, bound: str) -> str:
    moment = night.since if bound == "since" else night.until
    return moment.astimezone(UTC).isoformat()
