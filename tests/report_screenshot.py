"""The README's picture of the report, made from the sample: `python -m tests.report_screenshot [FILE]`.

Loads the sample into an embedded Postgres of its own, replays it through the real command line, and takes the picture
in the system's Chromium.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from shadowdiff import embedded
from tests.chromium import READY, chromium
from tests.conftest import ROOT, SAMPLE

PICTURE = ROOT / "docs" / "report.png"
WIDTH, HEIGHT = 1280, 1060
REPLAY = ("replay", "--last", "80", "-A", "cosine", "-B", "rrf:cosine+bm25", "--noise", "--latency", "100")
GATES = ("--gate", "only_in_a_per_session <= 6", "--gate", "mean_overlap >= 0.6", "--gate", "failed_share <= 2%")
GATE_CROSSED = 1


def main(picture: Path) -> None:
    """Write it."""
    with tempfile.TemporaryDirectory() as folder:
        home, report = Path(folder) / "home", Path(folder) / "report.html"
        environment = os.environ | {"SHADOWDIFF_HOME": str(home)}
        try:
            for command in (
                ("db", "upgrade"),
                ("load", str(SAMPLE)),
                (*REPLAY, *GATES, "--format", "html", "-o", str(report)),
            ):
                done = subprocess.run(
                    [sys.executable, "-m", "shadowdiff", *command], cwd=folder, env=environment, check=False
                )
                if done.returncode not in (0, GATE_CROSSED):
                    raise SystemExit(done.returncode)
            _take(report, picture)
        finally:
            embedded.stop(home)


def _take(report: Path, picture: Path) -> None:
    picture.parent.mkdir(exist_ok=True)
    with chromium() as browser:
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(report.as_uri())
        page.wait_for_selector(READY)
        page.screenshot(path=picture)
    sys.stdout.write(f"{picture}: {picture.stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
