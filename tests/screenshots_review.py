"""Draws the review screen from the sample: `python -m tests.screenshots_review docs/review.svg`. No test."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from shadowdiff import embedded
from shadowdiff.database import store_engine
from shadowdiff.review.app import Given, ReviewApp
from shadowdiff.review.stored import StoredRun
from shadowdiff.store.runs import RunStore
from tests.conftest import clean_environment
from tests.review_cases import screen, until

SIZE = (124, 36)
REMOTE_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""A page of documents asks no other host for anything."""
KEYS = ("tab", "n", "l", "2")
"""The second difference, with a label."""


def review_screenshot(path: Path) -> None:
    """Replay the sample into a server of its own, open the review, and write what it shows as an SVG."""
    with TemporaryDirectory() as directory:
        home = Path(directory)
        url = embedded.ensure_running(home)
        try:
            environment = clean_environment(home) | {"SHADOWDIFF_HOME": directory}
            command = [sys.executable, "-m", "shadowdiff", "demo"]
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
            drawn = asyncio.run(_drawn(url))
        finally:
            embedded.stop(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(REMOTE_FONT.sub("", drawn), encoding="utf-8")


async def _drawn(url: str) -> str:
    engine = store_engine(url)
    store = RunStore(engine)
    stored = StoredRun(store.get("latest"), store, lambda outcomes: outcomes)
    app = ReviewApp(Given(stored, "ann", Path, None))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "top 10:" in screen(app))
        await pilot.press(*KEYS)
        await until(pilot, lambda: "●2 ann" in screen(app) and "●2?" not in screen(app))
        drawn = app.export_screenshot(title="shadowdiff review")
        await pilot.press("q")
    engine.dispose()
    return drawn


if __name__ == "__main__":
    review_screenshot(Path(sys.argv[1]))
