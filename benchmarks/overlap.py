"""Whether remote sides wait while local ones compute: both in one replay against each of them alone, A B C A B C.

A local ONNX side, and a provider on the loopback that answers each call after 200 ms, one call at a time so that it
takes about as long as the local side does: the hardest case. The real command line on the sample, `--no-cache`;
medians of wall times. Asserts nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.material import ROOT
from benchmarks.results import publish
from benchmarks.telling import say
from shadowdiff import embedded
from tests.providers import ProviderServer

MODEL = ROOT / "sample_sessions" / "models" / "minilm-l6-v3"
SECONDS_PER_CALL = 0.2
KEY = {"COHERE_API_KEY": "loopback"}


def main() -> None:
    """Replay each of the three in turn, as often as asked; print medians and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--last", type=int, default=25, help="sessions of the sample")
    parser.add_argument("--pool", type=int, default=4)
    parser.add_argument("--concurrency", type=int, default=1, help="of the remote side")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        ProviderServer("cohere", seconds=SECONDS_PER_CALL, key=None) as server,
    ):
        home = Path(folder)
        (home / "shadowdiff.toml").write_text(
            f'[providers.cohere]\nurl = "{server.url}"\nconcurrency = {asked.concurrency}\n', encoding="utf-8"
        )
        env = dict(os.environ) | KEY | {"SHADOWDIFF_HOME": str(home / "home"), "PYTHONPATH": str(ROOT)}
        shadowdiff("load", cwd=home, env=env)
        try:
            seconds = race(asked, home, env)
        finally:
            embedded.stop(home / "home")
    report(asked, seconds)


def race(asked: argparse.Namespace, home: Path, env: dict[str, str]) -> dict[str, list[float]]:
    """Wall seconds per variant and round."""
    local, remote = f"onnx:{MODEL}", "cohere:rerank-v3.5"
    variants = {
        "local alone": ("-A", "bm25", "-B", local),
        "remote alone": ("-A", "bm25", "-B", remote),
        "both": ("-A", local, "-B", remote),
    }
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(asked.rounds):
        for name, sides in variants.items():
            started = time.perf_counter()
            options = ("--last", str(asked.last), "--pool", str(asked.pool), "--no-cache", "-o", "out.txt")
            shadowdiff("replay", *options, *sides, cwd=home, env=env)
            seconds[name].append(time.perf_counter() - started)
    return seconds


def shadowdiff(*arguments: str, cwd: Path, env: dict[str, str]) -> None:
    """Run the real command line."""
    more = (str(ROOT / "sample_sessions"),) if arguments[0] == "load" else ()
    command = [sys.executable, "-m", "shadowdiff", *arguments, *more]
    subprocess.run(command, cwd=cwd, env=env, check=True, stdout=subprocess.DEVNULL)


def report(asked: argparse.Namespace, seconds: dict[str, list[float]]) -> None:
    """The medians, and both against the slower one, round by round."""
    for name, taken in seconds.items():
        say(f"{name:<14}{statistics.median(taken):8.2f} s   ({', '.join(f'{each:.2f}' for each in taken)})")
    rounds = zip(seconds["local alone"], seconds["remote alone"], seconds["both"], strict=True)
    ratio = statistics.median(both / max(local, remote) for local, remote, both in rounds)
    say(f"both, × the slower one alone: {ratio:.2f}")
    setting = {"last": asked.last, "pool": asked.pool, "concurrency": asked.concurrency}
    publish("overlap", setting, {"seconds": seconds, "load": os.getloadavg()}, {"both, × the slower one": ratio})


if __name__ == "__main__":
    main()
