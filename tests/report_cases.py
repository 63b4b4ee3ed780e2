"""Runs whose report must show everything: what hostile data, missing texts and many sessions do to a page."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from shadowdiff.history import trend
from shadowdiff.nights import ChangedSession, GateOutcome, RunChanges, Surroundings
from shadowdiff.records import Entry, MissingText, SessionOutcome
from shadowdiff.render.html.renderer import HtmlRenderer
from shadowdiff.runs import Run, RunConfig, Side, SideSummary
from tests.night_cases import a_history
from tests.render_cases import COSINE, MINILM, Asked, descending, entries, run_of, session_of

ATTACKS = (
    "<script>window.pwned = 1</script>",
    "</script><script>window.pwned = 2</script>",
    '"><img src="https://evil.example/x.png" onerror="window.pwned = 3">',
    "javascript:window.pwned=4",
    "{{ 7 * 7 }}{% raw %} ${window.pwned = 5}",
    "\u202egnp.exe \u2066 \u200f \x00 \x1b[2J \u2028 \u2029",
    "<!--<script>",
    "]]></svg></style></title><iframe src=//evil.example></iframe>",
    "lone \ud800 surrogate",
    "a" * 10_000,
)
BODIES = ("We keep invoices for ten years.", "Billing: an invoice is sent monthly. 請求書は毎月送られます。")


def gates() -> tuple[GateOutcome, ...]:
    """One crossed on its bound, one kept on its point, one without a figure."""
    return (
        GateOutcome(
            "mean_overlap.B >= 0.7", "mean_overlap.B", 0.76, 0.62, 0.7, passed=False, note="judged on the bound"
        ),
        GateOutcome("failed_share <= 20%", "failed_share", 0.11, None, 0.2, passed=True),
        GateOutcome("p95_seconds.B <= 0.4", "p95_seconds.B", None, None, 0.4, passed=False, note="not measured"),
    )


def surroundings() -> Surroundings:
    """A night's: gates, three weeks of history, and what changed since the blessed run."""
    changes = RunChanges(
        before="20261101-0300-aa11",
        after="2026-11-20-0300-k7",
        sessions_in_both=3,
        newly_different=(ChangedSession("7f3a", "acme", "B", "same", "different"),),
        newly_failing=(),
        fixed=(),
        figures=(("overlap.B", 0.81, 0.76), ("p95_seconds.B", 0.187, None)),
        notes=("one session has other pools, and is left out",),
    )
    return Surroundings(gates(), a_history(), changes)


def hostile_run() -> tuple[Run, list[SessionOutcome]]:
    """Every text of it is an attack: ids, org, tags, queries, titles, bodies, reasons, names of sides."""
    pool = tuple(Entry("acme", f"id {text[:300]}", text, f"{text}\n\n{text}") for text in ATTACKS)
    sides = (replace(COSINE, name=ATTACKS[0]), Side("B", ATTACKS[2], f"onnx:{ATTACKS[1]}", ATTACKS[7]))
    every = tuple(range(1, len(pool) + 1))
    turns = [
        Asked(
            text,
            pool,
            {"A": descending(every, step=0.05), "B": text if at % 4 == 3 else descending(every[::-1], step=0.05)},
            search_query=text[::-1],
            served=(pool[at].entry_id, text),
            served_by=text,
        )
        for at, text in enumerate(ATTACKS)
    ]
    sessions = [
        session_of(f"s {text[:300]}", f"org {text[:80]}", turns[at : at + 2], ["A", "B"])
        for at, text in enumerate(ATTACKS)
    ]
    sessions = [
        replace(each, session=replace(each.session, tags={text: text}))
        for each, text in zip(sessions, ATTACKS, strict=True)
    ]
    run, outcomes = run_of(sessions, sides, RunConfig(top_k=5, production="A"))
    assert run.summary is not None
    did = {
        label: replace(each, failure_reasons=((ATTACKS[1], 3),), stopped=ATTACKS[2])
        for label, each in run.summary.sides.items()
    }
    return replace(run, version=ATTACKS[0], summary=replace(run.summary, sides=did)), outcomes


def hostile_surroundings() -> Surroundings:
    """Rules, notes, names of nights and sessions: all attacks."""
    text = ATTACKS[1]
    changed = tuple(ChangedSession(f"s {each[:300]}", each, each, each, each) for each in ATTACKS)
    changes = RunChanges(text, text, 3, changed, changed, (), (("overlap.B", 0.8, 0.7),), ATTACKS)
    nights = [replace(night, night=f"{night.night} {text}") for night in a_history().nights]
    outcome = GateOutcome(text, text, 0.5, 0.4, 0.3, passed=False, note=text)
    return Surroundings((outcome,), trend(text, nights), changes)


def billing_run() -> tuple[Run, list[SessionOutcome]]:
    """One turn about invoices: texts to highlight, a long one, one that is gone, one that the pool lacks."""
    pool = (
        Entry("acme", "kb-1", "Invoices", BODIES[0]),
        Entry("acme", "kb-2", "請求書", BODIES[1]),
        Entry("acme", "kb-3", "A long one", "Invoice. " + "x " * 4000),
        Entry("acme", "kb-4", "", "", original_hash="ab" * 32, missing_text=MissingText.GONE),
    )
    asked = Asked(
        "How long do you keep an invoiced amount? 請求書",
        pool,
        {"A": [0.9, 0.8, 0.7, 0.1], "B": [0.1, 0.8, 0.7, 0.9]},
        served=("kb-1", "kb-9"),
        served_by="v2",
    )
    return run_of([session_of("bill", "acme", [asked], ["A", "B"])], (COSINE, MINILM), RunConfig(top_k=3))


def long_run(sessions: int) -> tuple[Run, list[SessionOutcome]]:
    """So many sessions of two turns, of which every eighth session differs, on its second turn."""
    pool = entries([f"Title {number}" for number in range(1, 9)], "kb")
    quiet, other = descending(range(1, 9)), descending((8, 1, 2, 3, 4, 5, 6, 7))
    turns = [Asked("first?", pool, {"A": quiet, "B": quiet}), Asked("second?", pool, {"A": quiet, "B": quiet})]
    changed = [turns[0], replace(turns[1], query="what changed?", scores={"A": quiet, "B": other})]
    made = [
        session_of(f"s-{at:04}", f"org-{at % 3}", turns if at % 8 else changed, ["A", "B"]) for at in range(sessions)
    ]
    return run_of(made, (COSINE, MINILM), RunConfig(top_k=5))


def timed(run: Run) -> Run:
    """The same with latencies as a histogram."""
    assert run.summary is not None
    bins = {"A": ((0.002, 90), (0.003, 30)), "B": ((0.15, 20), (0.2, 60), (0.3, 0), (0.5, 19))}
    did: dict[str, SideSummary] = {
        label: replace(each, latency_histogram=bins.get(label, ())) for label, each in run.summary.sides.items()
    }
    return replace(run, summary=replace(run.summary, sides=did))


def written(path: Path, run: Run, outcomes: Iterable[SessionOutcome], beside: Surroundings | None = None) -> Path:
    """The report as a file; gives its path."""
    out = io.StringIO()
    HtmlRenderer(beside).render(run, outcomes, out)
    path.write_text(out.getvalue(), encoding="utf-8", newline="\n")
    return path
