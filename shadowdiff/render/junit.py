"""A run as JUnit XML, for what CI shows of tests: a case per rule of the gate, and one per side.

A rule that does not hold is a failure. A side is a failure where turns failed, and
an error where it ranked none. All text is in one line, with what XML cannot hold
made visible.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import TextIO
from xml.etree import ElementTree

from shadowdiff.nights import GateOutcome, Surroundings
from shadowdiff.records import SessionOutcome
from shadowdiff.render.columns import heading_of
from shadowdiff.render.gates import HEADINGS, crossed_text, figures_of, rule_of
from shadowdiff.render.sessions import counted
from shadowdiff.render.text import one_line
from shadowdiff.runs import Run, RunSummary, Side, SideSummary

HOST = "localhost"
"""The schema wants one; which machine it was is nobody's business, and this is what the schema says for that."""


class JunitRenderer:
    """One suite for gates, where any was asked for, and one for sides."""

    def __init__(self, surroundings: Surroundings | None = None) -> None:
        self._gates = surroundings.gates if surroundings else ()

    def render(self, run: Run, outcomes: Iterable[SessionOutcome], out: TextIO) -> None:
        """Write the document. It is of the run's summary alone: no session is read."""
        suites = [_gates_suite(run, self._gates)] if self._gates else []
        suites += [_sides_suite(run, run.summary)] if run.summary is not None else []
        root = ElementTree.Element("testsuites", {"name": "shadowdiff", **_totals(suites)})
        root.extend(suites)
        ElementTree.indent(root, " ")
        out.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        out.write(ElementTree.tostring(root, encoding="unicode") + "\n")


def _gates_suite(run: Run, outcomes: Sequence[GateOutcome]) -> ElementTree.Element:
    return _suite(run, "gates", [_gate_case(outcome) for outcome in outcomes])


def _gate_case(outcome: GateOutcome) -> ElementTree.Element:
    case = _case("gates", rule_of(outcome))
    told = ", ".join(f"{name} {text}" for name, text in zip(HEADINGS, figures_of(outcome), strict=True))
    note = f"; {one_line(outcome.note)}" if outcome.note else ""
    if not outcome.passed:
        return _told(case, "failure", "GateCrossed", crossed_text(outcome), f"limit {outcome.limit:g}, {told}{note}")
    ElementTree.SubElement(case, "system-out").text = f"{told}{note}"
    return case


def _sides_suite(run: Run, summary: RunSummary) -> ElementTree.Element:
    sides = [side for side in run.sides if side.label in summary.sides]
    return _suite(run, "sides", [_side_case(side, summary.sides[side.label]) for side in sides])


def _side_case(side: Side, did: SideSummary) -> ElementTree.Element:
    case = _case("sides", heading_of(side))
    if not did.failed_turns:
        return case
    turns = did.ranked_turns + did.failed_turns
    said = f"{did.failed_turns:,} of {counted(turns, 'turn')} failed"
    reasons = [f"{one_line(reason)} ({count:,})" for reason, count in did.failure_reasons]
    stopped = [f"stopped asking: {one_line(did.stopped)}"] if did.stopped is not None else []
    why = "\n".join([*stopped, *reasons]) or "the reasons stand beside each turn"
    return _told(case, "failure" if did.ranked_turns else "error", "TurnsFailed", said, why)


def _suite(run: Run, name: str, cases: Sequence[ElementTree.Element]) -> ElementTree.Element:
    started = f"{run.started_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"
    seconds = (run.finished_at - run.started_at).total_seconds() if run.finished_at else 0.0
    suite = ElementTree.Element("testsuite", {"name": f"shadowdiff.{name}", **_counts(cases)})
    suite.attrib |= {"skipped": "0", "time": f"{seconds:.3f}", "timestamp": started, "hostname": HOST}
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in (("run", run.run_id), ("version", run.version), *((s.label, s.spec) for s in run.sides)):
        ElementTree.SubElement(properties, "property", {"name": key, "value": one_line(value)})
    suite.extend(cases)
    return suite


def _case(suite: str, name: str) -> ElementTree.Element:
    return ElementTree.Element("testcase", {"classname": f"shadowdiff.{suite}", "name": one_line(name), "time": "0"})


def _told(case: ElementTree.Element, kind: str, type_: str, message: str, text: str) -> ElementTree.Element:
    ElementTree.SubElement(case, kind, {"message": message, "type": type_}).text = text
    return case


def _counts(cases: Sequence[ElementTree.Element]) -> dict[str, str]:
    failures, errors = (sum(case.find(kind) is not None for case in cases) for kind in ("failure", "error"))
    return {"tests": str(len(cases)), "failures": str(failures), "errors": str(errors)}


def _totals(suites: Sequence[ElementTree.Element]) -> dict[str, str]:
    return {name: str(sum(int(suite.attrib[name]) for suite in suites)) for name in ("tests", "failures", "errors")}
