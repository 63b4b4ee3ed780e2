"""[nightly] and [gate] of shadowdiff.toml as frozen records. Imports nothing heavy: every command reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from shadowdiff.durations import seconds


class Strict(StrEnum):
    """What of a figure a gate judges."""

    BOUND = "bound"
    """The end of its 95% interval on the rule's bad side; the figure itself where it has none."""
    POINT = "point"


@dataclass(frozen=True, slots=True)
class GateSettings:
    """[gate]: what a run must keep to."""

    rules: tuple[str, ...] = ()
    strict: Strict = Strict.BOUND


@dataclass(frozen=True, slots=True)
class NightlySettings:
    """[nightly]: what is replayed every night, and where its report goes."""

    name: str = "nightly"
    """Of the configuration: its nights, watermark and lock are its own."""
    baseline: str | None = None
    """None: that of [replay]."""
    others: tuple[str, ...] = ()
    directory: Path | None = None
    """Relative to the shadowdiff.toml that names it. None: reports are written nowhere."""
    s3: str | None = None
    """`s3://bucket/prefix`."""
    s3_endpoint: str | None = None
    s3_region: str | None = None
    s3_profile: str | None = None
    s3_allow_plain_http: bool = False
    """Whether `s3_endpoint` may be plain http to another machine than this."""
    webhook_env: str | None = None
    """Name of the environment variable that holds the webhook's URL, which is a secret."""
    report_url: str | None = None
    """Where people open a report; `{night}` stands for the night's name. Goes into the webhook's message."""
    first: timedelta = timedelta(days=1)
    """How far the first night looks back."""
    overlap: timedelta = timedelta(days=1)
    """How far before its watermark a night looks for sessions that were still open then."""
    idle: timedelta = timedelta(minutes=30)
    """A session whose last turn is younger than this is still open, and left to the next night."""
    delivery_timeout: timedelta | None = None
    """What one delivery may take, with all its attempts; None: S3 and the webhook have limits of their own."""
    orgs: tuple[str, ...] = ()
    sample: int | None = None
    """Draw this many of a night's sessions."""
    top_k: int = 10
    pool: int = 50
    pool_from: str = "recorded"
    noise: bool = False
    latency: int = 0
    """Turns timed per side."""
    max_usd: float | None = None
    max_failures: float | None = None
    min_scores: Mapping[str, float] = field(default_factory=dict)


def gate_settings(section: Mapping[str, Any]) -> GateSettings:
    """[gate], whose kinds of values are checked already."""
    return GateSettings(tuple(section.get("rules", ())), Strict(section.get("strict", Strict.BOUND)))


def nightly_settings(section: Mapping[str, Any], base: Path) -> NightlySettings:
    """[nightly], whose kinds of values are checked already; paths count from `base`."""
    given: dict[str, Any] = {}
    for key, value in section.items():
        if key in ("first", "overlap", "idle", "delivery_timeout"):
            given[key] = timedelta(seconds=seconds(value) or 0.0)
        elif key == "directory":
            given[key] = (base / Path(value).expanduser()).absolute()
        elif key == "min_score":
            given["min_scores"] = {label.upper(): float(number) for label, number in value.items()}
        else:
            given[key] = tuple(value) if isinstance(value, list) else value
    return NightlySettings(**given)
