"""Distributions of rerankers and judges as a user installs them: a module, its metadata and entry point, on a path."""

from __future__ import annotations

import os
from pathlib import Path


def installed_plugin(directory: Path, scheme: str, source: str, group: str = "shadowdiff.rerankers") -> dict[str, str]:
    """Environment in which the module, which has a `build`, is installed as the kind `scheme`."""
    directory.mkdir()
    module = f"{scheme}_plugin"
    (directory / f"{module}.py").write_text(source)
    described = directory / f"{module}-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(f"[{group}]\n{scheme} = {module}:build\n")
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(directory), os.environ.get("PYTHONPATH")]))}
