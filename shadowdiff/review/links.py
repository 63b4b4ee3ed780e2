"""Whether a page can be opened where the reader sits, and opening it without a word on their screen."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote


def turn_link(report: Path, turn_id: str) -> str:
    """The report's address, at this turn."""
    return f"{report.absolute().as_uri()}#turn={quote(turn_id, safe='')}"


def has_display(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Whether a browser would open before the reader's eyes: not on the far end of an ssh connection."""
    if environment.get("BROWSER"):
        return True
    if any(environment.get(name) for name in ("SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT")):
        return False
    if platform in ("darwin", "win32"):
        return True
    return any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def open_link(link: str) -> None:
    """Open it in the reader's browser, which writes nothing to this terminal; returns when that has taken it over."""
    subprocess.run(  # noqa: S603 our own Python; a URL made by turn_link
        [sys.executable, "-m", "webbrowser", link],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        check=False,
    )
