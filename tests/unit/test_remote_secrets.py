"""Keys come from the environment, and are shown nowhere."""

from __future__ import annotations

import copy
import logging
import pickle

import pytest

from shadowdiff.errors import ConfigError
from shadowdiff.remote.secrets import Secret, key_from_environment, scrub


def test_the_first_variable_that_is_set_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty one is not set."""
    monkeypatch.setenv("FIRST_KEY", "")
    monkeypatch.setenv("SECOND_KEY", "sk-second-77")
    assert key_from_environment(("FIRST_KEY", "SECOND_KEY"), "Somebody").reveal() == "sk-second-77"


def test_a_missing_key_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of variables, and what for."""
    monkeypatch.delenv("FIRST_KEY", raising=False)
    monkeypatch.delenv("SECOND_KEY", raising=False)
    with pytest.raises(ConfigError, match="no key for Somebody: set FIRST_KEY or SECOND_KEY in the environment"):
        key_from_environment(("FIRST_KEY", "SECOND_KEY"), "Somebody")


@pytest.mark.parametrize(
    "value", ["sk-planted\n", "sk-\r\nX: y", "sk planted", " sk-planted", "sk-\x1b[2J", "sk-plànted"]
)
def test_a_key_that_is_no_header_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """By the variable's name, without any of it."""
    monkeypatch.setenv("FIRST_KEY", value)
    with pytest.raises(ConfigError, match=r"^FIRST_KEY holds a space, a line break") as caught:
        key_from_environment(("FIRST_KEY",), "Somebody")
    assert "sk-" not in str(caught.value)


def test_a_secret_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Not by repr, str, a format, a log, nor inside of something else; nor written by pickle."""
    secret = Secret("sk-planted-31")
    logging.getLogger("tests").warning("%s %r", secret, {"key": secret})
    shown = [str(secret), repr(secret), f"{secret} {secret!r} {[secret]}", caplog.text]
    assert not [text for text in shown if "planted" in text]
    for leaking in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not written anywhere"):
            leaking(secret)


def test_scrubbing_takes_every_known_secret_out() -> None:
    """Wherever it stands, however often; one that begins like another leaves no rest."""
    for value in ("sk-scrub-1", "sk-scrub-1-longer"):
        Secret(value)
    scrubbed = scrub("(sk-scrub-1-longer)sk-scrub-1,sk-scrub-1")
    assert scrubbed == "([secret])[secret],[secret]"
    assert scrub("nothing") == "nothing"
