"""What the HTML report of a big night costs: size, seconds to write, and seconds until it can be used in Chromium.

Draws sessions of 4 turns with pools of 50 for two sides, B near A but not equal to it, in orgs whose entries are made
of the sample's own words, each drawn by itself, so that texts compress worse than real ones. The page is written by
`HtmlRenderer`, then opened from disk by the system's Chromium in a new process each time. Asserts nothing.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.material import SAMPLE
from benchmarks.results import publish, show
from benchmarks.telling import narrate
from shadowdiff.diff import diff_session
from shadowdiff.ranking import rank_pool
from shadowdiff.records import (
    Entry,
    Pool,
    PoolEntry,
    PoolOrigin,
    ReplayedSession,
    ReplayedTurn,
    ScoreCounts,
    Session,
    SessionOutcome,
    Turn,
)
from shadowdiff.render.html.renderer import HtmlRenderer
from shadowdiff.runs import Run, RunConfig, RunStatus, Side, SideSummary
from shadowdiff.sources.bundle import read_bundle
from shadowdiff.summary import SummaryBuilder
from tests.chromium import READY, chromium

TURNS = 4
POOL = 50
ORGS = 20
ENTRIES_PER_ORG = 500
BODY_WORDS = 200
TITLE_WORDS = 7
QUERY_WORDS = 11
SPREAD = 0.15
"""Noise on A's scores that makes B's: about two of A's top ten are others' in B's."""
FRAMES = 240
PIXELS = 150
"""Scrolled per frame: 9,000 a second at 60 frames, a strong flick."""
SIDES = (Side("A", "cosine", "cosine", "5f0c31a7d2be44c8"), Side("B", "v3", "onnx:models/v3", "9e10aa01c7fd3b52"))
STARTED = datetime(2026, 11, 19, 14, tzinfo=UTC)

SCROLL = """([frames, pixels]) => new Promise((done) => {
  const taken = []; let last = performance.now();
  const step = () => {
    const now = performance.now(); taken.push(now - last); last = now;
    if (taken.length > frames) done(taken.slice(1)); else { scrollBy(0, pixels); requestAnimationFrame(step); }
  };
  document.getElementById("sessions").scrollIntoView(); requestAnimationFrame(step);
})"""
CHANGE = """([id, value, event]) => new Promise((done) => {
  const control = document.getElementById(id), begun = performance.now();
  control.value = value; control.dispatchEvent(new Event(event));
  const drawn = () => requestAnimationFrame(() => setTimeout(() => done(performance.now() - begun)));
  if (event === "change") drawn();
  else new MutationObserver((_, watch) => { watch.disconnect(); drawn(); })
    .observe(document.getElementById("status"), { childList: true, characterData: true, subtree: true });
})"""


@dataclass(frozen=True, slots=True)
class Opened:
    """One visit of the page, in milliseconds."""

    interactive: float
    """From the start of navigation until the sessions are listed, and every control works."""
    contentful: float
    """Until the figures are painted."""
    filtered: float
    """From the choice of an outcome to the next frame."""
    searched: float
    """From a key in the search field, which waits 120 ms for the next, to the next frame."""
    frame: float
    """Median frame while scrolling."""
    slow_frame: float
    """95th percentile of frames."""
    longest_frame: float


class Night:
    """Sessions by number, the same every time; nothing of them is kept."""

    def __init__(self, sessions: int) -> None:
        self.sessions = sessions
        self.config = RunConfig()
        words = " ".join(entry.body for entry in read_bundle(SAMPLE).entries).split()
        self._orgs = [list(_entries(f"org-{at:02}", words, random.Random(at))) for at in range(ORGS)]  # noqa: S311
        self._words = words

    def outcomes(self) -> Iterator[SessionOutcome]:
        """One after the other."""
        for at in range(self.sessions):
            yield diff_session(self._session(at), SIDES, self.config)

    def run(self) -> Run:
        """With its summary."""
        builder = SummaryBuilder(self.config, SIDES)
        for outcome in self.outcomes():
            builder.add(outcome)
        turns = TURNS * self.sessions
        did = {side.label: SideSummary(turns, 0, POOL * turns, 0, 0, 0) for side in SIDES}
        run = Run("bench", STARTED, "bench", self.config, SIDES, RunStatus.DONE)
        return replace(run, summary=builder.finish(did, unpooled_turns=0, missing_entries=0))

    def _session(self, at: int) -> ReplayedSession:
        draw = random.Random(1_000_000 + at)  # noqa: S311 a reproducible draw
        entries = self._orgs[at % ORGS]
        turns = tuple(self._turn(at, position, entries, draw) for position in range(1, TURNS + 1))
        session = Session(f"s-{at:06}", f"org-{at % ORGS:02}", STARTED + timedelta(minutes=at))
        return ReplayedSession(replace(session, turns=tuple(turn.turn for turn in turns)), turns)

    def _turn(self, at: int, position: int, entries: Sequence[Entry], draw: random.Random) -> ReplayedTurn:
        pool = Pool(
            tuple(PoolEntry(entry, rank) for rank, entry in enumerate(draw.sample(entries, POOL), start=1)),
            PoolOrigin.RECORDED,
        )
        a = [draw.random() for _ in range(POOL)]
        b = [score + draw.gauss(0, SPREAD) for score in a] if draw.random() < 0.7 else a
        query = " ".join(draw.sample(self._words, QUERY_WORDS))
        asked = Turn(f"s-{at:06}-{position}", position, query, STARTED + timedelta(minutes=at, seconds=position))
        asked = replace(asked, served=pool.entry_ids[:10])
        counts = {side.label: ScoreCounts(POOL) for side in SIDES}
        return ReplayedTurn(asked, pool, {"A": rank_pool(pool, a), "B": rank_pool(pool, b)}, counts=counts)


def _entries(org_id: str, words: Sequence[str], draw: random.Random) -> Iterator[Entry]:
    for number in range(ENTRIES_PER_ORG):
        title = " ".join(draw.sample(words, TITLE_WORDS))
        yield Entry(org_id, f"kb-{number:05}", title, " ".join(draw.choices(words, k=BODY_WORDS)))


def visit(page_file: Path) -> Opened:
    """Open the page in a new browser, filter, search and scroll it."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(page_file.as_uri())
        page.wait_for_selector(READY)
        ready = page.evaluate("performance.getEntriesByName('shadowdiff-ready')[0].startTime")
        painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN")
        frames: list[float] = sorted(page.evaluate(SCROLL, [FRAMES, PIXELS]))
        filtered = page.evaluate(CHANGE, ["outcome", "d", "change"])
        searched = page.evaluate(CHANGE, ["search", "data", "input"])
        slow = frames[int(0.95 * len(frames))]
        return Opened(ready, painted, filtered, searched, statistics.median(frames), slow, frames[-1])


def write(night: Night, run: Run, page_file: Path) -> float:
    """Seconds for the page, without those for making its sessions."""
    begun = time.perf_counter()
    for _ in night.outcomes():
        pass
    making = time.perf_counter() - begun
    begun = time.perf_counter()
    with page_file.open("w", encoding="utf-8") as out:
        HtmlRenderer().render(run, night.outcomes(), out)
    return time.perf_counter() - begun - making


def main() -> None:
    """Write it, visit it, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000, help="sessions of 4 turns (default %(default)s)")
    parser.add_argument("--visits", type=int, default=5, help="times that it is opened (default %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep the page here")
    given = parser.parse_args()
    narrate(f"drawing {given.sessions:,} sessions")
    night = Night(given.sessions)
    run = night.run()
    with tempfile.TemporaryDirectory() as folder:
        page_file = given.keep.absolute() if given.keep else Path(folder) / "report.html"
        seconds = write(night, run, page_file)
        size = page_file.stat().st_size / 1e6
        narrate(f"opening {size:.1f} MB {given.visits} times")
        visits = [visit(page_file) for _ in range(given.visits)]
    _report(given.sessions, size, seconds, visits)


def _report(sessions: int, size: float, seconds: float, visits: Sequence[Opened]) -> None:
    names = list(asdict(visits[0]))
    spread: dict[str, list[float]] = {name: sorted(getattr(each, name) for each in visits) for name in names}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = [
        ("size, MB", f"{size:.1f}", ""),
        ("seconds to write", f"{seconds:.1f}", ""),
        ("peak MiB", f"{peak:.0f}", ""),
    ]
    rows += [
        (f"{name.replace('_', ' ')}, ms", f"{statistics.median(values):.0f}", f"{values[0]:.0f}–{values[-1]:.0f}")
        for name, values in spread.items()
    ]
    title = f"{sessions:,} sessions of {TURNS} turns, {len(visits)} visits"
    show(title, ("", "median", "from–to"), rows, ["Not on an idle machine these are upper bounds."])
    figures: dict[str, Any] = {"size_mb": size, "seconds_to_write": seconds, "peak_mib": peak, "milliseconds": spread}
    publish("report", {"sessions": sessions, "turns": TURNS, "visits": len(visits)}, figures, {})


if __name__ == "__main__":
    main()
