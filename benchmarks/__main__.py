"""Runs every benchmark of the table, one after the other: `python -m benchmarks`.

A benchmark is a module of this package that runs by `python -m`. To add one, name it here.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time

from benchmarks.material import ROOT

TABLE: tuple[tuple[str, ...], ...] = (
    ("scoring",),
    ("scoring", "--full", "--turns", "8"),
    ("latency",),
    ("cold_start",),
    ("replay_stages",),
    ("pools",),
    ("scale",),
    ("diff_scale",),
    ("overlap",),
    ("report",),
)
"""Modules with their arguments, in the order of the README's table."""


def main() -> int:
    """Run them; 1 where one failed or is not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", metavar="NAME", help="these, instead of all")
    wanted = set(parser.parse_args().only)
    unknown = wanted - {name for name, *_ in TABLE}
    if unknown:
        parser.error(
            f"no benchmark {sorted(unknown)[0]!r}; there are {', '.join(dict.fromkeys(row[0] for row in TABLE))}"
        )
    failed = [row for row in TABLE if (not wanted or row[0] in wanted) and not _ran(row)]
    for row in failed:
        sys.stderr.write(f"failed: {' '.join(row)}\n")
    return 1 if failed else 0


def _ran(row: tuple[str, ...]) -> bool:
    name, *arguments = row
    if importlib.util.find_spec(f"benchmarks.{name}") is None:
        return False
    sys.stdout.write(f"\n== {' '.join(row)}\n")
    sys.stdout.flush()
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments], cwd=ROOT, check=False)
    sys.stdout.write(f"({time.monotonic() - begun:.0f} s)\n")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
