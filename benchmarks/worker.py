"""One variant in a process of its own, answering a line of JSON with a line of JSON.

`python -m benchmarks.worker KEY HOME THREADS TURNS CHARACTERS`; a process that waits for its next line uses no
processor, so variants do not disturb each other's thread pools.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main(arguments: list[str]) -> None:
    """Load the variant, say how that went, then answer until stdin ends."""
    key, home, threads, turns, characters = arguments
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not stand between the answers
    _bound(int(threads))
    try:
        serve = _server(key, Path(home), int(threads), int(turns), int(characters) or None)
    except Exception as error:  # a peer may raise anything; the table says what
        _send(answer, {"unavailable": " ".join(f"{error or type(error).__name__}".split())[:300]})
        return
    _send(answer, {"ready": key})
    for line in sys.stdin:
        _send(answer, serve(json.loads(line)))


def _server(key: str, home: Path, threads: int, turns: int, characters: int | None) -> Callable[[Any], dict[str, Any]]:
    from benchmarks.material import load_material
    from benchmarks.variants import BY_KEY, prepare_places

    material = load_material(turns, characters=characters)
    score = BY_KEY[key].load(prepare_places(material.model, home), threads)
    requests = list(material.requests)

    def serve(command: dict[str, Any]) -> dict[str, Any]:
        if command["do"] == "scores":
            return {"scores": score(requests)}
        parts = [[request] for request in requests] if command["do"] == "turns" else [requests]
        walls, start = [], time.process_time()
        for part in parts:
            begun = time.perf_counter()
            score(part)
            walls.append(time.perf_counter() - begun)
        return {"walls": walls, "cpu": time.process_time() - start}

    return serve


def _bound(threads: int) -> None:
    """For the libraries that take no number of threads: as many cores as threads."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    os.environ["HF_HUB_OFFLINE"] = "1"
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        if threads < len(allowed):
            os.environ["RAYON_NUM_THREADS"] = str(threads)
            os.sched_setaffinity(0, allowed[-threads:])


def _send(answer: Any, message: dict[str, Any]) -> None:
    answer.write(json.dumps(message) + "\n")
    answer.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
