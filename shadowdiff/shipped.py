"""Directories that lie beside the package in a checkout, and inside it when it is installed."""

from __future__ import annotations

from pathlib import Path


def shipped_directory(name: str) -> Path:
    """Where a top-level directory of the repository is: `NAME` in a checkout, `_NAME` in an installed package."""
    package = Path(__file__).resolve().parent
    installed = package / f"_{name}"
    return installed if installed.is_dir() else package.parent / name
