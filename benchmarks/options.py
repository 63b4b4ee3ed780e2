"""Command-line options that the raced benchmarks share."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.material import SHORT
from benchmarks.race import Setting
from benchmarks.variants import BASELINE, BY_KEY, VARIANTS, Variant
from shadowdiff.cores import usable_cores


@dataclass(frozen=True, slots=True)
class Options:
    """What to race and how."""

    variants: tuple[Variant, ...]
    setting: Setting
    rounds: int


def read_options(description: str, *, turns: int, rounds: int, arguments: list[str] | None = None) -> Options:
    """Parse `arguments` or the command line's."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--only", nargs="+", choices=sorted(BY_KEY), help="these variants, and the baseline")
    parser.add_argument("--turns", type=int, default=turns, help="turns of 50 pairs (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=rounds, help="interleaved rounds (default %(default)s)")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="threads of each (default %(default)s)")
    parser.add_argument("--chars", type=int, default=SHORT, help="characters per document (default %(default)s)")
    parser.add_argument("--full", action="store_true", help="whole documents")
    parser.add_argument(
        "--home", type=Path, default=Path.home() / ".cache" / "shadowdiff-bench", help="converted models"
    )
    given = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    wanted = {BASELINE, *given.only} if given.only else set(BY_KEY)
    setting = Setting(given.home.absolute(), given.threads, given.turns, None if given.full else given.chars)
    return Options(tuple(variant for variant in VARIANTS if variant.key in wanted), setting, given.rounds)
