"""A directory of reports is that of one configuration: two would replace each other's nights."""

from __future__ import annotations

from pathlib import Path

import pytest

from shadowdiff.config import PrivacySettings
from shadowdiff.delivery.directory import OWNER, deliver_directory, not_ours
from shadowdiff.errors import ConfigError, DeliveryError
from shadowdiff.nightly.settings import NightlySettings
from shadowdiff.nightly.targets import check_targets

NIGHT = "2026-11-20"


def delivered(base: Path, owner: str, content: str) -> Path:
    """A night's report of one file."""
    return deliver_directory(base, NIGHT, {"run.json": lambda out: out.write(content)}, owner)


def test_another_configurations_nights_are_not_replaced(tmp_path: Path) -> None:
    """The second is refused with both names, the file that says so, and what to do; the first goes on."""
    place = delivered(tmp_path, "nightly", "first")
    with pytest.raises(DeliveryError) as caught:
        delivered(tmp_path, "v4-trial", "second")
    told = str(caught.value)
    assert all(part in told for part in ("'nightly'", "'v4-trial'", "a directory of its own", str(tmp_path / OWNER)))
    assert (place / "run.json").read_text() == "first"
    delivered(tmp_path, "nightly", "first again")
    assert (place / "run.json").read_text() == "first again"


def test_a_configuration_that_is_no_more_makes_room(tmp_path: Path) -> None:
    """As the refusal says; and a writer that was killed before it could say who it was holds nothing."""
    delivered(tmp_path, "nightly", "first")
    (tmp_path / OWNER).unlink()
    place = delivered(tmp_path, "renamed", "second")
    assert (place / "run.json").read_text() == "second"
    (tmp_path / OWNER).write_text("")
    assert not_ours(tmp_path, "whoever") == ""


def test_it_is_refused_before_a_night_is_replayed(tmp_path: Path) -> None:
    """Nobody waits for a night whose report cannot go where it should."""
    delivered(tmp_path, "nightly", "first")
    check_targets(NightlySettings(directory=tmp_path), PrivacySettings())
    with pytest.raises(ConfigError, match=r"^\[nightly\] directory: .* holds the nights of 'nightly'"):
        check_targets(NightlySettings(name="v4-trial", directory=tmp_path), PrivacySettings())
