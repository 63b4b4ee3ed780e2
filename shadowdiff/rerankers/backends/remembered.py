"""What was found out about this machine, in small JSON files of the user's cache: lost, it is found out again."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any


def cache_directory() -> Path:
    """Where shadowdiff keeps what it can make again: below SHADOWDIFF_HOME, else in the user's cache directory."""
    home = os.environ.get("SHADOWDIFF_HOME")
    if home:
        return Path(home).expanduser() / "cache"
    import platformdirs

    return platformdirs.user_cache_path("shadowdiff", appauthor=False)


class Remembered:
    """A JSON object in a file. One that cannot be read is empty; one that cannot be written is not."""

    def __init__(self, name: str) -> None:
        self.file = cache_directory() / name

    def recall(self, key: str) -> Any:
        """What was kept under the key, whatever it is by now: check it. None where nothing was."""
        return self._content().get(key)

    def keep(self, key: str, value: Any) -> None:
        """Keep a value of JSON. The file is replaced whole, so that no reader sees half of it."""
        with suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps(self._content() | {key: value}, indent=1)
            descriptor, written = tempfile.mkstemp(dir=self.file.parent, prefix=f".{self.file.name}.")
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
                    opened.write(text)
                Path(written).replace(self.file)
            except OSError:
                Path(written).unlink(missing_ok=True)

    def _content(self) -> dict[str, Any]:
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}
