"""Records to JSON for the store, and back.

Unknown keys are ignored, so that a newer run can still be shown. JSONB forgets the order of keys;
decoding restores the order of the enums and of counted names, so that a run shown again reads as it did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar, get_type_hints

from shadowdiff.fidelity import most_first
from shadowdiff.nights import GateOutcome
from shadowdiff.records import Outcome, PoolOrigin, Usage, Window
from shadowdiff.runs import Estimate, Fidelity, Machine, PairSummary, Price, RunConfig, RunSummary, SideSummary

R = TypeVar("R")


def encode(value: Any) -> Any:
    """Plain JSON values for a record: enums by value, times in ISO 8601."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: encode(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(encode(key)): encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return value.isoformat() if isinstance(value, datetime) else value


def decode_config(stored: Mapping[str, Any]) -> RunConfig:
    """The configuration that `encode` wrote."""
    return _build(
        RunConfig,
        stored,
        {
            "pool_from": PoolOrigin,
            "window": _decode_window,
            "redacted_sides": tuple,
            "asking_sides": tuple,
            "prices": lambda prices: {label: _build(Price, price, {}) for label, price in sorted(prices.items())},
        },
    )


def decode_summary(stored: Mapping[str, Any]) -> RunSummary:
    """The summary that `encode` wrote."""
    return _build(
        RunSummary,
        stored,
        {
            "pools": lambda pools: {origin: pools[origin] for origin in PoolOrigin if origin in pools},
            "pairs": lambda pairs: {label: _decode_pair(pair) for label, pair in pairs.items()},
            "sides": lambda sides: {label: _decode_side(side) for label, side in sides.items()},
            "noise": lambda noise: None if noise is None else _decode_pair(noise),
            "fidelity": lambda fidelity: None if fidelity is None else _decode_fidelity(fidelity),
            "machine": lambda machine: None if machine is None else _build(Machine, machine, {}),
        },
    )


def decode_gates(stored: Sequence[Mapping[str, Any]]) -> tuple[GateOutcome, ...]:
    """The outcomes of rules that `encode` wrote."""
    return tuple(_build(GateOutcome, outcome, {}) for outcome in stored)


def _decode_side(stored: Mapping[str, Any]) -> SideSummary:
    readers: dict[str, Callable[[Any], Any]] = {
        "usage": lambda usage: _build(Usage, usage, {}),
        "latency_histogram": lambda bins: tuple((bound, turns) for bound, turns in bins),
        "failure_reasons": lambda reasons: tuple((reason, turns) for reason, turns in reasons),
    }
    return _build(SideSummary, stored, readers)


def _decode_window(stored: Mapping[str, Any]) -> Window:
    return _build(
        Window,
        stored,
        {"since": _decode_time, "until": _decode_time, "session_ids": tuple, "org_ids": tuple},
    )


def _decode_pair(stored: Mapping[str, Any]) -> PairSummary:
    estimates = [name for name, kind in get_type_hints(PairSummary).items() if kind is Estimate]
    readers: dict[str, Callable[[Any], Any]] = {name: lambda value: _build(Estimate, value, {}) for name in estimates}
    readers["turns"] = lambda turns: {outcome: turns[outcome] for outcome in Outcome if outcome in turns}
    return _build(PairSummary, stored, readers)


def _decode_fidelity(stored: Mapping[str, Any]) -> Fidelity:
    return _build(
        Fidelity,
        stored,
        {"overlap": lambda value: _build(Estimate, value, {}), "served_by": most_first},
    )


def _decode_time(stored: str | None) -> datetime | None:
    return None if stored is None else datetime.fromisoformat(stored)


def _build(kind: type[R], stored: Mapping[str, Any], readers: Mapping[str, Callable[[Any], Any]]) -> R:
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: readers.get(name, _as_is)(value) for name, value in stored.items() if name in known})


def _as_is(value: Any) -> Any:
    return value
