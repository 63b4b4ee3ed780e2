r"""A run for programs: one JSON document, or one JSON value per line. Schema: run-1.schema.json.

Text is UTF-8 with every character that would act on a terminal escaped as
`\uXXXX`, so that the output is safe to look at and loses nothing. Scores are
exact; measures derived from them are rounded to six places.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, TextIO

from shadowdiff.fidelity import REPRODUCED_OVERLAP, REPRODUCED_SHARE
from shadowdiff.nights import GateOutcome, Surroundings
from shadowdiff.ranking import surfaced
from shadowdiff.records import (
    NOISE_SIDE,
    Entry,
    Ranking,
    ReplayedTurn,
    ScoreCounts,
    SessionDiff,
    SessionOutcome,
    TurnDiff,
    TurnFidelity,
    TurnOutcome,
    Window,
)
from shadowdiff.render.sides import SideFacts, facts_of
from shadowdiff.render.text import UNSAFE
from shadowdiff.runs import Estimate, Fidelity, Machine, PairSummary, Run, RunConfig, RunSummary, Side, SideSummary
from shadowdiff.summary import percent_change

SCHEMA = "shadowdiff.run/1"
PLACES = 6

Json = dict[str, Any]


class JsonRenderer:
    """One document, indented, written session by session.

    Rankings hold what each side surfaced; with `full_rankings` the whole pool.
    """

    def __init__(self, full_rankings: bool = False, surroundings: Surroundings | None = None) -> None:
        self._full_rankings = full_rankings
        self._gates = surroundings.gates if surroundings else ()

    def render(self, run: Run, outcomes: Iterable[SessionOutcome], out: TextIO) -> None:
        """Write the document; it is complete, and valid, only once this returns."""
        out.write("{\n")
        for name, value in _run(run).items():
            out.write(f" {_dumped(name)}: {_indented(value, 1)},\n")
        out.write(' "sessions": [')
        separator = "\n  "
        for outcome in outcomes:
            out.write(separator + _indented(_session(run, outcome, self._full_rankings), 2))
            separator = ",\n  "
        out.write("],\n" if separator == "\n  " else "\n ],\n")
        summary = None if run.summary is None else summary_json(run, run.summary, self._gates)
        out.write(f' "summary": {_indented(summary, 1)}\n}}\n')


class JsonLinesRenderer:
    """One line for the run, one per session, and one for the summary if the run has one; `type` tells them apart."""

    def __init__(self, full_rankings: bool = False, surroundings: Surroundings | None = None) -> None:
        self._full_rankings = full_rankings
        self._gates = surroundings.gates if surroundings else ()

    def render(self, run: Run, outcomes: Iterable[SessionOutcome], out: TextIO) -> None:
        """Write line by line; every line is valid by itself."""
        stream = self.stream(run, out)
        for outcome in outcomes:
            stream.add(outcome)
        stream.end(run, self._gates)

    def stream(self, run: Run, out: TextIO) -> JsonLinesStream:
        """Begin to write the run to `out`: its own line says how it stands now."""
        return JsonLinesStream(run, out, self._full_rankings)


class JsonLinesStream:
    """A run that is written as it comes."""

    def __init__(self, run: Run, out: TextIO, full_rankings: bool) -> None:
        self._run = run
        self._out = out
        self._full_rankings = full_rankings
        self._write({"type": "run", **_run(run)})

    def add(self, outcome: SessionOutcome) -> None:
        """Write a session's line."""
        self._write({"type": "session", **_session(self._run, outcome, self._full_rankings)})

    def end(self, run: Run, gates: Sequence[GateOutcome] = ()) -> None:
        """Write the summary's line, if there is a summary."""
        if run.summary is not None:
            self._write({"type": "summary", **summary_json(run, run.summary, gates)})

    def _write(self, line: Json) -> None:
        self._out.write(_dumped(line) + "\n")


def summary_json(run: Run, summary: RunSummary, gates: Sequence[GateOutcome] = ()) -> Json:
    """The `summary` of `shadowdiff.run/1`: means with their 95% intervals, null where there is nothing to average.

    `gates` is absent where no gate was asked for.
    """
    found: Json = {
        "sessions": summary.sessions,
        "turns": summary.turns,
        "failed_turns": summary.failed_turns,
        "pools": {origin.value: turns for origin, turns in summary.pools.items()},
        "unpooled_turns": summary.unpooled_turns,
        "missing_entries": summary.missing_entries,
        "pairs": {label: _pair(pair) for label, pair in summary.pairs.items()},
        "noise": None if summary.noise is None else _pair(summary.noise),
        "fidelity": None if summary.fidelity is None else _fidelity(summary.fidelity),
        "sides": {label: _side_summary(side) for label, side in summary.sides.items()},
        "timing": {side.label: _timing(side) for side in facts_of(run, summary)},
        "machine": None if summary.machine is None else _machine(summary.machine),
        "turns_per_month": summary.turns_per_month,
    }
    return found | {"gates": [gate_json(outcome) for outcome in gates]} if gates else found


def gate_json(outcome: GateOutcome) -> Json:
    """One rule's outcome."""
    return {
        "rule": outcome.rule,
        "figure": outcome.figure,
        "value": outcome.value,
        "bound": outcome.bound,
        "limit": outcome.limit,
        "margin": outcome.margin,
        "passed": outcome.passed,
        "note": outcome.note,
    }


def _run(run: Run) -> Json:
    return {
        "schema": SCHEMA,
        "run_id": run.run_id,
        "started_at": _time(run.started_at),
        "finished_at": None if run.finished_at is None else _time(run.finished_at),
        "status": run.status.value,
        "version": run.version,
        "config": _config(run.config),
        "sides": [_side(side, run.config) for side in run.sides],
    }


def _config(config: RunConfig) -> Json:
    return {
        "top_k": config.top_k,
        "pool": config.pool,
        "pool_from": config.pool_from.value,
        "noise": config.noise,
        "rbo_p": config.rbo_p,
        "near_tie_share": config.near_tie_share,
        "production": config.production,
        "production_assumed": config.production_assumed,
        "window": _window(config.window),
        "prices": {label: asdict(price) for label, price in config.prices.items()},
    }


def _window(window: Window) -> Json:
    return {
        "last": window.last,
        "since": None if window.since is None else _time(window.since),
        "until": None if window.until is None else _time(window.until),
        "session_ids": list(window.session_ids),
        "org_ids": list(window.org_ids),
        "sample": window.sample,
        "seed": window.seed,
    }


def side_json(side: Side) -> Json:
    """Who a side is."""
    return {
        "side": side.label,
        "name": side.name,
        "spec": side.spec,
        "fingerprint": side.fingerprint,
        "min_score": side.min_score,
    }


def _side(side: Side, config: RunConfig) -> Json:
    found = side_json(side)
    return found | {"redacted": True} if side.label in config.redacted_sides else found


def _session(run: Run, outcome: SessionOutcome, full_rankings: bool) -> Json:
    session = outcome.session
    found: Json = {
        "session_id": session.session_id,
        "org_id": session.org_id,
        "started_at": _time(session.started_at),
        "tags": dict(session.tags),
        "turn_count": max(len(session.turns), len(outcome.turns)),
        "turns": [_turn(run, turn, full_rankings) for turn in outcome.turns],
        "diffs": {side.label: _session_diff(outcome.diffs[side.label]) for side in run.others},
    }
    if NOISE_SIDE in outcome.diffs:
        found["noise"] = _session_diff(outcome.diffs[NOISE_SIDE])
    return found


def _turn(run: Run, outcome: TurnOutcome, full_rankings: bool) -> Json:
    replayed, turn = outcome.replayed, outcome.replayed.turn
    ranked = [side for side in run.sides if side.label in replayed.rankings]
    found: Json = {
        "turn_id": turn.turn_id,
        "position": turn.position,
        "asked_at": _time(turn.asked_at),
        "query": turn.query,
        "search_query": turn.search_query,
        **_pool(replayed),
        "outcome": {side.label: outcome.outcome(side.label).value for side in run.others},
        "rankings": {side.label: _ranking(run, replayed, side, full_rankings) for side in ranked},
        "diffs": {side.label: _turn_diff(replayed, side.label, outcome.diffs[side.label], run) for side in run.others},
        "served": None if turn.served is None else list(turn.served),
        "served_by": turn.served_by,
        "fidelity": None if outcome.fidelity is None else _turn_fidelity(outcome.fidelity),
        "failures": [{"side": failure.side, "reason": failure.reason} for failure in replayed.failures],
        "counts": {label: _counts(counts) for label, counts in replayed.counts.items() if label != NOISE_SIDE},
    }
    if turn.missing_text is not None:
        found["missing_text"] = turn.missing_text.value
    if NOISE_SIDE in outcome.diffs:
        found["noise"] = _noise(run, outcome, full_rankings)
    return found


def _pool(replayed: ReplayedTurn) -> Json:
    return {
        "pool_hash": replayed.pool.hash,
        "pool_origin": replayed.pool.origin.value,
        "pool_size": len(replayed.pool.entries),
        "unpooled": replayed.unpooled,
        "missing_entries": replayed.missing_entries,
    }


def _noise(run: Run, outcome: TurnOutcome, full_rankings: bool) -> Json:
    """The baseline's second pass: what it surfaced, and how that differs from the first."""
    replayed = outcome.replayed
    again = replace(run.baseline, label=NOISE_SIDE)
    has_ranking = NOISE_SIDE in replayed.rankings
    return {
        "outcome": outcome.outcome(NOISE_SIDE).value,
        "ranking": _ranking(run, replayed, again, full_rankings) if has_ranking else None,
        "diff": _turn_diff(replayed, NOISE_SIDE, outcome.diffs[NOISE_SIDE], run),
    }


def _ranking(run: Run, replayed: ReplayedTurn, side: Side, full_rankings: bool) -> list[Json]:
    """Best first; a score of null is an entry that the side does not rank."""
    ranking = replayed.rankings[side.label]
    kept = len(ranking.entry_ids) if full_rankings else len(surfaced(ranking, run.config.top_k, side.min_score))
    entries = {item.entry.entry_id: item.entry for item in replayed.pool.entries}
    scored = zip(ranking.entry_ids[:kept], ranking.scores[:kept], strict=True)
    return [
        {"entry_id": entry_id, "rank": rank, "score": score, **_title(entries.get(entry_id))}
        for rank, (entry_id, score) in enumerate(scored, start=1)
    ]


def _title(entry: Entry | None) -> Json:
    if entry is None or entry.missing_text is None:
        return {"title": entry.title if entry else ""}
    return {"title": "", "missing_text": entry.missing_text.value}


def _turn_diff(replayed: ReplayedTurn, label: str, diff: TurnDiff | None, run: Run) -> Json | None:
    if diff is None:
        return None
    return {
        "only_in_a": list(diff.only_in_a),
        "only_in_b": list(diff.only_in_b),
        "both": list(diff.both),
        "overlap": _rounded(diff.overlap),
        "rbo": _rounded(diff.rbo),
        "same_top1": diff.same_top1,
        "near_ties_a": _in_order(diff.near_ties_a, replayed.rankings[run.baseline.label]),
        "near_ties_b": _in_order(diff.near_ties_b, replayed.rankings[label]),
    }


def _in_order(entry_ids: frozenset[str], ranking: Ranking) -> list[str]:
    return [entry_id for entry_id in ranking.entry_ids if entry_id in entry_ids]


def _session_diff(diff: SessionDiff) -> Json:
    return {
        "only_in_a": list(diff.only_in_a),
        "only_in_b": list(diff.only_in_b),
        "both": list(diff.both),
        "completed_turns": diff.completed_turns,
        "failed_turns": diff.failed_turns,
    }


def _counts(counts: ScoreCounts) -> Json:
    """What the ranking took, without what a cache saved: a second run must read the same."""
    found: Json = {"pairs": counts.pairs, "truncated": counts.truncated, "outside_pool": counts.outside_pool}
    if counts.escalated is None:
        return found
    return found | {"escalated": counts.escalated, "altered": counts.altered}


def _pair(pair: PairSummary) -> Json:
    change = percent_change(pair.distinct_a, pair.distinct_b)
    return {
        "turns": {outcome.value: turns for outcome, turns in pair.turns.items()},
        "sessions": pair.sessions,
        "sessions_changed": pair.sessions_changed,
        "sessions_where_b_adds": pair.sessions_where_b_adds,
        "only_in_a": pair.only_in_a,
        "only_in_b": pair.only_in_b,
        "both": pair.both,
        "distinct_a": pair.distinct_a,
        "distinct_b": pair.distinct_b,
        "distinct_change_percent": None if change is None else _rounded(change),
        "mean_only_in_a_per_session": _value(pair.only_in_a_per_session),
        "mean_only_in_a_ci95": _interval(pair.only_in_a_per_session),
        "mean_only_in_b_per_session": _value(pair.only_in_b_per_session),
        "mean_only_in_b_ci95": _interval(pair.only_in_b_per_session),
        "mean_overlap": _value(pair.overlap),
        "mean_overlap_ci95": _interval(pair.overlap),
        "mean_rbo": _value(pair.rbo),
        "mean_rbo_ci95": _interval(pair.rbo),
        "same_top1": _value(pair.same_top1),
        "same_top1_ci95": _interval(pair.same_top1),
        "turn_only_in_a": pair.turn_only_in_a,
        "turn_only_in_b": pair.turn_only_in_b,
        "near_tie_entries": pair.near_tie_entries,
    }


def _turn_fidelity(fidelity: TurnFidelity) -> Json:
    return {
        "served": fidelity.served,
        "outside_pool": fidelity.outside_pool,
        "identical": fidelity.first_divergence is None,
        "overlap": _rounded(fidelity.overlap),
        "first_divergence": fidelity.first_divergence,
        "by_near_ties": fidelity.by_near_ties,
    }


def _fidelity(fidelity: Fidelity) -> Json:
    return {
        "side": fidelity.side,
        "turns": fidelity.turns,
        "identical": fidelity.identical,
        "reordered": fidelity.reordered,
        "near_ties": fidelity.near_ties,
        "mean_overlap": _value(fidelity.overlap),
        "mean_overlap_ci95": _interval(fidelity.overlap),
        "median_first_divergence": fidelity.first_divergence,
        "diverging_at_first": fidelity.diverging_at_first,
        "unserved_turns": fidelity.unserved_turns,
        "failed_turns": fidelity.failed_turns,
        "served_outside_pool": fidelity.served_outside_pool,
        "served_by": dict(fidelity.served_by),
        "verdict": None if fidelity.reproduces is None else "reproduces" if fidelity.reproduces else "doubtful",
        "needed": {"share": REPRODUCED_SHARE, "overlap": REPRODUCED_OVERLAP},
    }


def _value(estimate: Estimate) -> float | None:
    return None if estimate.value is None else _rounded(estimate.value)


def _interval(estimate: Estimate) -> list[float] | None:
    if estimate.low is None or estimate.high is None:
        return None
    return [_rounded(estimate.low), _rounded(estimate.high)]


def _side_summary(side: SideSummary) -> Json:
    return {
        "ranked_turns": side.ranked_turns,
        "failed_turns": side.failed_turns,
        "pairs": side.pairs,
        "truncated_pairs": side.truncated_pairs,
        "outside_pool": side.outside_pool,
        "escalated_turns": side.escalated_turns,
        "spared_pairs": side.spared_pairs,
        "altered_turns": side.altered_turns,
        "failure_reasons": [{"reason": reason, "turns": turns} for reason, turns in side.failure_reasons],
    }


def _timing(facts: SideFacts) -> Json:
    """What differs between equal runs, times and what a cache saves: apart, so that the rest is equal byte for byte."""
    side = facts.did
    return {
        "latency_turns": side.latency_turns,
        "latency_p50_seconds": side.latency_p50_seconds,
        "latency_p95_seconds": side.latency_p95_seconds,
        "latency_p99_seconds": side.latency_p99_seconds,
        "latency_failed_turns": side.latency_failed_turns,
        "latency_threads": side.latency_threads,
        "latency_accelerator": side.latency_accelerator,
        "latency_from_calls": side.latency_from_calls,
        "latency_histogram": [{"up_to_seconds": upper, "turns": turns} for upper, turns in side.latency_histogram],
        **_asked(facts),
    }


def _asked(facts: SideFacts) -> Json:
    """What asking a provider took and cost."""
    side, per_turn = facts.did, facts.usd_per_turn
    return {
        "cost_usd": side.cost_usd,
        "usd_per_turn": per_turn,
        "usd_per_1000_queries": None if per_turn is None else 1000 * per_turn,
        "usd_per_month": facts.usd_per_month,
        "asked_turns": side.asked_turns,
        "attempts": side.attempts,
        **asdict(side.usage),
        "waited_seconds": side.waited_seconds,
        "repairs": side.repairs,
        "stopped": side.stopped,
    }


def _machine(machine: Machine) -> Json:
    return {"processor": machine.processor, "cores": machine.cores, "system": machine.system}


def _rounded(number: float) -> float:
    return round(number, PLACES)


def _time(when: datetime) -> str:
    return when.astimezone(UTC).isoformat()


def _dumped(value: Any) -> str:
    """Compact JSON in which no character acts on a terminal."""
    return UNSAFE.sub(_escaped, json.dumps(value, ensure_ascii=False, allow_nan=False))


def _escaped(match: Any) -> str:
    return json.dumps(match.group())[1:-1]


def _indented(value: Any, depth: int) -> str:
    """JSON with one value per line, but for objects and lists that hold none: those stand on one line each."""
    if not _is_nested(value):
        return _dumped(value)
    inner, outer = "\n" + " " * (depth + 1), "\n" + " " * depth
    if isinstance(value, Mapping):
        parts = [f"{_dumped(name)}: {_indented(item, depth + 1)}" for name, item in value.items()]
        return "{" + inner + f",{inner}".join(parts) + outer + "}"
    return "[" + inner + f",{inner}".join(_indented(item, depth + 1) for item in value) + outer + "]"


def _is_nested(value: Any) -> bool:
    items: Sequence[Any] = list(value.values()) if isinstance(value, Mapping) else value
    return isinstance(value, Mapping | list) and any(isinstance(item, Mapping | list) and item for item in items)
