"""JUnit XML: well-formed whatever a run holds, and built as CI servers expect it."""

from __future__ import annotations

import io
from dataclasses import replace
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.nights import GateOutcome, Surroundings
from shadowdiff.render.formats import renderer_for
from shadowdiff.runs import Run
from tests.gate_cases import gates
from tests.render_cases import hard_run

ORDER = ["properties", "testcase"]
"""Of a suite's children, in the schema of Jenkins' xUnit plugin and of Ant."""
NEEDED = {
    "testsuites": {"name", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname"},
    "properties": set[str](),
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "system-out": set[str](),
}
"""Elements, and the attributes that each must have."""


def document(run: Run, outcomes: tuple[GateOutcome, ...] = ()) -> ElementTree.Element:
    """The XML as a reader gets it, built as the schema says."""
    out = io.StringIO()
    renderer_for("junit", surroundings=Surroundings(outcomes)).render(run, [], out)
    root = ElementTree.fromstring(out.getvalue().encode("utf-8"))  # noqa: S314 - our own output
    check(root)
    return root


def check(root: ElementTree.Element) -> None:
    """Known elements with what they need, suites in order, and counts that are those of the cases."""
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) == NEEDED[element.tag]
    for suite in root:
        places = [ORDER.index(child.tag) for child in suite]
        assert places == sorted(places)
        for kind, found in (("tests", "testcase"), ("failures", "testcase/failure"), ("errors", "testcase/error")):
            assert int(suite.attrib[kind]) == len(suite.findall(found))
        assert len(suite.attrib["timestamp"]) == len("2026-11-20T03:02:00")
    for kind in ("tests", "failures", "errors"):
        assert int(root.attrib[kind]) == sum(int(suite.attrib[kind]) for suite in root)


def test_a_crossed_rule_is_a_failure_with_its_numbers() -> None:
    """Value, bound, limit and margin; a rule that holds tells them too."""
    run = hard_run()[0]
    root = document(run, gates(run, ("mean_overlap.B >= 0.7", "sessions >= 3", "p95_seconds.B <= 2")))
    crossed, kept, noted = root.findall("testsuite[@name='shadowdiff.gates']/testcase")
    (failure,) = crossed
    assert crossed.attrib["name"] == "mean_overlap.B >= 0.7"
    assert failure.attrib["message"] == "mean_overlap.B >= 0.7: is 0.7583, at worst 0.6222"
    assert failure.text == "limit 0.7, value 0.7583, bound 0.6222, margin -0.07778"
    assert kept.findtext("system-out") == "value 3, bound –, margin 0"
    assert "no interval is kept" in (noted.findtext("system-out") or "")


def test_a_side_that_failed_on_some_turns_is_a_failure_and_on_all_an_error() -> None:
    """With the reasons and how many turns each cost; a side that ranked all is a case that passes."""
    run = hard_run(others=2)[0]
    assert run.summary is not None
    sides = dict(run.summary.sides)
    sides["B"] = replace(sides["B"], failed_turns=3, failure_reasons=(("HTTP 503 \x1b", 2), ("<NaN> & co", 1)))
    sides["C"] = replace(sides["C"], ranked_turns=0, failed_turns=9, stopped="refused (HTTP 401)")
    root = document(replace(run, summary=replace(run.summary, sides=sides)))
    a, b, c = root.findall("testsuite[@name='shadowdiff.sides']/testcase")
    assert not list(a)
    assert b.findtext("failure") == "HTTP 503 ␛ (2)\n<NaN> & co (1)"
    assert [child.attrib["message"] for child in b] == ["3 of 11 turns failed"]
    assert c.findtext("error") == "stopped asking: refused (HTTP 401)"
    assert root.find("testsuite[@name='shadowdiff.gates']") is None


def test_a_run_without_summary_has_no_case_of_a_side() -> None:
    """A document all the same, with whatever gates made of it."""
    run = replace(hard_run()[0], summary=None)
    assert not list(document(run))
    assert document(run, gates(run, ("sessions >= 1",))).attrib["failures"] == "1"


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_well_formed(name: str, reason: str, rule: str) -> None:
    """Characters that XML cannot hold, lone surrogates and markup among them."""
    run = hard_run()[0]
    assert run.summary is not None
    did = replace(run.summary.sides["B"], failed_turns=1, failure_reasons=((reason, 1),), stopped=reason)
    sides = (run.sides[0], replace(run.sides[1], name=name, spec=name))
    hostile = replace(run, sides=sides, summary=replace(run.summary, sides={**run.summary.sides, "B": did}))
    document(hostile, (GateOutcome(rule, "overlap.B", 0.5, None, 0.7, passed=False, note=reason),))
