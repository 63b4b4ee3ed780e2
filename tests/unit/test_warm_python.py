"""The forking process by which the suite runs commands: a command that hangs costs one test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import clean_environment
from tests.warm import WarmPython


def test_a_command_that_takes_too_long_says_nothing_of_the_next(tmp_path: Path) -> None:
    """It is killed, and the next one is told its own exit code."""
    warm = WarmPython()
    environment = clean_environment(tmp_path)
    try:
        with pytest.raises(TimeoutError):
            warm.run(["replay", "--help"], environment, tmp_path, 0.001)
        code, _, err = warm.run(["replay", "--bogus"], environment, tmp_path, 60)
        assert (code, b"No such option" in err) == (2, True)
    finally:
        warm.stop()
