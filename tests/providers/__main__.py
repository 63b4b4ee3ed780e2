"""A provider as a process: its URL on stdout, its counts at GET /counts and, when it is told to end, in a file."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from tests.providers.faults import parse_faults
from tests.providers.forms import FORMS
from tests.providers.server import KEY, ProviderServer


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.providers", description=__doc__)
    parser.add_argument("--form", choices=sorted(FORMS), required=True)
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=SHARE", help="throttled=0.3, say")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--key", default=KEY)
    parser.add_argument("--seconds", type=float, default=0.0, help="how long a call takes")
    parser.add_argument("--most", type=int, help="documents per call")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--counts", type=Path, help="file for the counts, written at the end")
    asked = parser.parse_args()
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    faults = parse_faults(asked.fault, asked.seed)
    more = {"key": asked.key, "most": asked.most, "seconds": asked.seconds, "port": asked.port}
    with ProviderServer(asked.form, faults, **more) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        ended.wait()
        if asked.counts:
            asked.counts.write_text(json.dumps(server.counts()), encoding="utf-8")


if __name__ == "__main__":
    main()
