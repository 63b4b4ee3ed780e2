"""[providers.NAME] of shadowdiff.toml: how one provider is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """How patient shadowdiff is with a provider, and how much it asks at a time. Times in seconds.

    Nothing of this decides a score; what does stands in the spec.
    """

    url: str | None = None
    """Base URL in place of the provider's own: a proxy, a gateway, a server in a test."""
    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    """Until the next byte of an answer."""
    turn_deadline: float = 120.0
    """For one turn, with all attempts and waiting."""
    retries: int = 6
    """Attempts after the first one; 0: none."""
    concurrency: int = 8
    """Requests under way at a time, of all sides that use the provider."""
    requests_per_minute: float | None = None
    """None: as many as it takes, until the provider throttles."""
    tokens_per_minute: float | None = None
    allow_plain_http: bool = False
    """Whether `url`, or the URL in a spec, may be plain http to another host than this one."""
    region: str | None = None
    """AWS region; None: as the AWS configuration says."""
    profile: str | None = None
    """Name of a profile of the AWS configuration."""


DEFAULT = ProviderSettings()
NO_PROVIDERS: Mapping[str, ProviderSettings] = {}
