"""Fixtures of tests of sides that ask over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shadowdiff.remote.settings import ProviderSettings
from shadowdiff.rerankers.remote_side import RemoteSide
from tests.providers.sides import KEYS, KINDS, PATIENT, Make


@pytest.fixture
def provider_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every provider's key in the environment."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def side() -> Iterator[Make]:
    """Makes sides by kind, URL, settings and further options; they are closed at the end."""
    made: list[RemoteSide] = []

    def make(kind: str, url: str, settings: ProviderSettings = PATIENT, more: str = "") -> RemoteSide:
        made.append(KINDS[kind].side(url, settings, more))
        return made[-1]

    yield make
    for one in made:
        one.close()
