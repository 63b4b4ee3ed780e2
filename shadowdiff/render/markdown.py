"""A run as GitHub Markdown that fits a comment on a pull request: what it comes to, then its sessions, folded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from shadowdiff.nights import Surroundings
from shadowdiff.records import SessionOutcome
from shadowdiff.render.closing import INTERVAL, circumstances, cut_short, pair_figures, session_sentences, verdict
from shadowdiff.render.columns import heading_of
from shadowdiff.render.fidelity import verdict as fidelity_verdict
from shadowdiff.render.github import MOST_CHARACTERS, length, markdown, table
from shadowdiff.render.lines import plain
from shadowdiff.render.markdown_beside import changes_block, gate_block, history_block
from shadowdiff.render.markdown_sessions import MOST_SIDE_BY_SIDE, SPACED_OUT, UNBROKEN, MostContrasting
from shadowdiff.render.sessions import counted
from shadowdiff.render.sides import failure_notes, side_figures, side_notes
from shadowdiff.render.tables import TableRow
from shadowdiff.render.terminal import legend, not_shown
from shadowdiff.render.text import one_line
from shadowdiff.runs import Run, RunSummary

KEPT_FREE = 1_000
"""Characters for what is said below the sessions, and for a line or two above by whoever writes it into a file."""
NAME_CELLS = 80
SPEC_CELLS = 160
FINGERPRINT_CHARS = 12


class MarkdownRenderer:
    """Sessions in the order given; of more than fit, those in which the sides differ most.

    With `only_changed` the outcomes are taken to be filtered already; a line says
    how much of the run is not shown.
    """

    def __init__(self, only_changed: bool = False, surroundings: Surroundings | None = None) -> None:
        self._only_changed = only_changed
        self._surroundings = surroundings or Surroundings()

    def render(self, run: Run, outcomes: Iterable[SessionOutcome], out: TextIO) -> None:
        """Write the whole comment; below GitHub's limit, whatever comes."""
        head = SPACED_OUT.sub("\n\n", "\n".join(_head(run, self._surroundings)) + "\n")
        sessions = MostContrasting(MOST_CHARACTERS - KEPT_FREE - length(head) - length(_opening(run)))
        for outcome in outcomes:
            sessions.add(run, outcome)
        out.write(head)
        blocks = sessions.blocks()
        if blocks:
            out.write(_opening(run))
            out.writelines(f"{block}\n" for block in blocks)
        out.writelines(f"\n{line}\n" for line in self._closing(run, sessions))

    def _closing(self, run: Run, sessions: MostContrasting) -> Iterator[str]:
        if sessions.left_out:
            what = counted(sessions.left_out, "session")
            yield (
                f"{what} in which the sides differ least left out, to fit a comment; "
                f"all of them: shadowdiff show {markdown(run.run_id)}"
            )
        if self._only_changed and run.summary is not None:
            hidden = not_shown(run.summary, sessions.sessions, sessions.turns)
            yield from [markdown(" · ".join(hidden))] if hidden else []


def _head(run: Run, surroundings: Surroundings) -> Iterator[str]:
    """From the sentence that the run comes down to, to what each side took."""
    summary = run.summary
    if summary is None:
        yield "**This run has no summary yet: it was not finished.**"
    else:
        yield f"**{markdown(verdict(run, summary))}**"
    a, *others = (markdown(heading_of(side), NAME_CELLS) for side in run.sides)
    yield from ["", f"{a} against {', '.join(others)}"]
    yield from gate_block(surroundings.gates)
    if summary is not None and summary.turns:
        yield from _pairs(run, summary)
        yield from history_block(surroundings)
        yield from changes_block(run, surroundings)
        yield from _sides(run, summary)
    yield from _identity(run)


def _pairs(run: Run, summary: RunSummary) -> Iterator[str]:
    headings, rows = pair_figures(run, summary)
    for line in session_sentences(run, summary, UNBROKEN):
        yield from ["", markdown(one_line(plain(line)))]
    yield ""
    yield from _table(headings, rows)
    if any(pair.only_in_a_per_session.low is not None for pair in summary.pairs.values()):
        yield from ["", f"<sub>{markdown(INTERVAL)}</sub>"]


def _sides(run: Run, summary: RunSummary) -> Iterator[str]:
    headings, rows = side_figures(run, summary)
    if headings:
        yield from ["", "<details>", "<summary>latency, cost and failures, per side</summary>", ""]
        yield from _table(headings, rows)
        yield ""
        yield from (f"- {markdown(note)}" for note in side_notes(run, summary))
        yield from ["", "</details>"]
    failed = [f"- {markdown(note)}" for note in failure_notes(run, summary)]
    yield from ["", *failed] if failed else []
    if summary.fidelity is not None:
        yield from ["", markdown(" ".join(fidelity_verdict(summary.fidelity)))]


def _identity(run: Run) -> Iterator[str]:
    """Which run it is, and what took part."""
    yield from ["", f"run {markdown(run.run_id)} · {markdown(' · '.join(circumstances(run)))}", ""]
    if cut := cut_short(run):
        yield from [f"**{markdown(cut)}**", ""]
    rows = [
        (
            side.label,
            markdown(side.name, NAME_CELLS),
            markdown(side.spec, SPEC_CELLS),
            "" if side.min_score is None else f"{side.min_score:g}",
            markdown(side.fingerprint[:FINGERPRINT_CHARS]),
        )
        for side in run.sides
    ]
    headings = ("side", "reranker", "spec", "min_score", "fingerprint")
    yield from table(headings, rows, left=(0, 1, 2, 4))
    redacted = [side.label for side in run.sides if side.label in run.config.redacted_sides]
    if redacted:
        yield from ["", f"saw redacted texts: {', '.join(redacted)}"]


def _table(headings: Sequence[str], rows: Sequence[TableRow]) -> list[str]:
    """The terminal's table: a number and what qualifies it in one cell."""
    cells = (
        [_indented(row.label), *(markdown(f"{figure.number} {figure.note}") for figure in row.figures)] for row in rows
    )
    return table(["", *map(markdown, headings)], cells)


def _indented(label: str) -> str:
    """A label that belongs to the one above it stays a step to the right."""
    return ("&nbsp;" * 2 if label.startswith(" ") else "") + markdown(label)


def _opening(run: Run) -> str:
    is_wide = len(run.others) > 1 and len(run.sides) <= MOST_SIDE_BY_SIDE
    signs = " &nbsp; ".join(markdown(span.text) for span in legend(run, is_wide=is_wide))
    return f"\n<sub>{signs}</sub>\n\n"
