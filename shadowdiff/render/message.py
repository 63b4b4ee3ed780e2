"""What a night came to, as a short message for Slack and whatever else reads its JSON: crossed gates first.

Holds counts, figures, names of sides and the user's own rules; nothing of a
session, and no reason of a failure, which may quote one. Slack reads `&`, `<`
and `>` as markup and `<!channel>`, `@here` as calls for everybody: in data they
are neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from shadowdiff.history import kind_of
from shadowdiff.nights import GateOutcome, Night, Outlier, RunChanges, Surroundings
from shadowdiff.render.amounts import NOT_KNOWN, usd
from shadowdiff.render.closing import verdict
from shadowdiff.render.figures import has_several_pairs, heading, written
from shadowdiff.render.sessions import counted, moment
from shadowdiff.render.text import ELLIPSIS, one_line
from shadowdiff.runs import Estimate, Run, RunStatus, RunSummary

HEADER_CHARS = 150
SECTION_CHARS = 3_000
"""Slack's limits, of text as it is sent."""
LISTED = 8
"""Gates or figures told one by one; of the others, how many they are."""
DATA_CHARS = 120
"""Of one rule, name or note."""
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
APART = "\u2060"
"""WORD JOINER, invisible: between a sign and what it would act on."""
CALLING = re.compile(r"([@#])(?=\S)")
"""What begins a mention or names a channel, where a webhook is set to look for them."""
WEB = re.compile(r"https?://[^\s<>|]+", re.IGNORECASE)

TOLD_OF_CHANGES = frozenset({"changed_share", "overlap"})
"""Figures that are told of a night that shares no session with the blessed run."""

Block = dict[str, object]


def webhook_message(
    run: Run | None, night: Night, surroundings: Surroundings, report_url: str | None
) -> dict[str, object]:
    """The message as a JSON object: `text` for notifications, and `blocks`.

    `run` is None where the night had no session to replay. In `report_url`,
    `{night}` stands for the night's name.
    """
    gates = surroundings.gates or night.gates
    heading, sentence = _heading(run, night, gates), _sentence(run, night)
    sections = [
        f"*{sentence}*",
        _gates(gates),
        _outliers(surroundings, night),
        _failures(run),
        _figures(run),
        _changes(surroundings),
        _link(report_url, night),
    ]
    blocks: list[Block] = [{"type": "header", "text": {"type": "plain_text", "text": heading, "emoji": False}}]
    blocks += [_section(text) for text in sections if text]
    blocks.append({"type": "context", "elements": [_mrkdwn(_circumstances(run, night))]})
    return {"text": f"{heading}: {sentence}", "blocks": blocks}


def slack_text(text: str, limit: int = DATA_CHARS) -> str:
    """Data in one line of at most `limit` characters as sent, in which nothing calls anybody or ends its place."""
    shown = CALLING.sub(rf"\1{APART}", one_line(text))
    pieces = [ENTITIES.get(character, character) for character in shown]
    if sum(map(len, pieces)) <= limit:
        return "".join(pieces)
    kept, used = [], len(ELLIPSIS)
    for piece in pieces:
        used += len(piece)
        if used > limit:
            break
        kept.append(piece)
    return "".join(kept) + ELLIPSIS


def code(text: str, limit: int = DATA_CHARS) -> str:
    """The same set as code, in which neither emphasis nor emoji are read."""
    shown = slack_text(text.replace("`", "'"), limit)
    return f"`{shown or NOT_KNOWN}`"


def _heading(run: Run | None, night: Night, gates: Sequence[GateOutcome]) -> str:
    crossed = sum(not gate.passed for gate in gates)
    if crossed:
        state = f"{crossed} of {counted(len(gates), 'gate')} crossed"
    elif run is None:
        state = "nothing to replay"
    else:
        state = f"{counted(len(gates), 'gate')} held" if gates else "no gates"
    return f"{slack_text(night.configuration, 80)} {slack_text(night.name, 30)}: {state}"


def _sentence(run: Run | None, night: Night) -> str:
    if run is None:
        return f"No session to replay between {moment(night.since)} and {moment(night.until)} UTC."
    if run.summary is None:
        return "The run has no summary: it was not finished."
    told = slack_text(verdict(run, run.summary), 500)
    return told if run.status is RunStatus.DONE else f"Not finished. {told}"


def _gates(gates: Sequence[GateOutcome]) -> str:
    """The crossed ones, worst news first as the user listed them; of those that held, how many."""
    crossed = [gate for gate in gates if not gate.passed]
    if not gates:
        return ""
    held = f"{counted(len(gates) - len(crossed), 'gate')} held"
    if not crossed:
        return f":white_check_mark: {held}"
    rest = [held] if len(gates) > len(crossed) else []
    return _listed(":x: *Gates crossed*", [*map(_gate, crossed)], rest)


def _gate(gate: GateOutcome) -> str:
    if gate.value is None:
        judged = "has no value"
    elif gate.bound is None:
        judged = f"is {gate.value:.4g}"
    else:
        judged = f"is {gate.value:.4g}, and {gate.bound:.4g} at the bad end of its interval"
    beyond = "" if gate.margin is None else f": {gate.margin:.4g} beyond"
    note = f" ({slack_text(gate.note)})" if gate.note else ""
    return f"{code(gate.rule)} {judged}{beyond}{note}"


def _outliers(surroundings: Surroundings, night: Night) -> str:
    history = surroundings.history
    found = [] if history is None else [outlier for outlier in history.outliers if outlier.night == night.name]
    of_several = has_several_pairs(item.figure for item in found)
    lines = [_outlier(item, of_several=of_several) for item in found]
    return _listed(":warning: *Unlike the nights before*", lines) if found else ""


def _outlier(outlier: Outlier, *, of_several: bool) -> str:
    value, low, high = (written(outlier.figure, number) for number in (outlier.value, outlier.low, outlier.high))
    words = slack_text(heading(outlier.figure, "A", of_several=of_several))
    return f"{words} is {value}; before, {low} to {high} over {counted(outlier.nights, 'night')}"


def _failures(run: Run | None) -> str:
    """How many turns, and of which sides; why, the report says."""
    if run is None or run.summary is None:
        return ""
    summary = run.summary
    failed = [
        f"{slack_text(side.label)} {summary.sides[side.label].failed_turns:,}"
        for side in run.sides
        if side.label in summary.sides and summary.sides[side.label].failed_turns
    ]
    stopped = [slack_text(label) for label, side in summary.sides.items() if side.stopped]
    told = [f"{summary.failed_turns:,} of {counted(summary.turns, 'turn')} failed ({', '.join(failed)})"]
    told = told if summary.failed_turns else []
    told += [f"{' and '.join(stopped)} asked no more of the provider before the end"] if stopped else []
    return f":warning: {'; '.join(told)}" if told else ""


def _figures(run: Run | None) -> str:
    if run is None or run.summary is None or not run.summary.turns:
        return ""
    summary, a = run.summary, slack_text(run.baseline.label)
    lines = []
    for label, pair in summary.pairs.items():
        b = slack_text(label)
        lines.append(
            f"{a} → {b}: {pair.sessions_changed:,} of {counted(pair.sessions, 'session')} differ · per session"
            f" {_mean(pair.only_in_a_per_session, 1)} only in {a}, {_mean(pair.only_in_b_per_session, 1)} only in {b}"
            f" · overlap {_mean(pair.overlap, 2)}"
        )
    return _listed("", lines, _cost(summary))


def _mean(estimate: Estimate, digits: int) -> str:
    if estimate.value is None:
        return NOT_KNOWN
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.{digits}f}"
    return f"{estimate.value:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def _cost(summary: RunSummary) -> list[str]:
    costs = [side.cost_usd for side in summary.sides.values() if side.cost_usd is not None]
    return [f"cost {usd(sum(costs))}"] if costs else []


def _changes(surroundings: Surroundings) -> str:
    if surroundings.compared_with is not None:
        return _since(surroundings.compared_with)
    return f"Not compared with the blessed run: {slack_text(why, 300)}" if (why := surroundings.not_compared) else ""


def _since(changes: RunChanges) -> str:
    if not changes.sessions_in_both:
        return f"Since the blessed run {code(changes.before)}, no session in both: {_moved(changes)}"
    counts = {
        "newly different": len(changes.newly_different),
        "newly failing": len(changes.newly_failing),
        "the same again": len(changes.fixed),
    }
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count) or "nothing changed"
    in_both = counted(changes.sessions_in_both, "session")
    return f"Since the blessed run {code(changes.before)}, of {in_both} in both: {told}"


def _moved(changes: RunChanges) -> str:
    """Where the share of changed sessions and the overlap were, and are."""
    told = [(name, before, after) for name, before, after in changes.figures if kind_of(name) in TOLD_OF_CHANGES]
    of_several = has_several_pairs(name for name, _, _ in told)
    return " · ".join(
        f"{slack_text(heading(name, 'A', of_several=of_several))} {written(name, before)} → {written(name, after)}"
        for name, before, after in told
    )


def _link(report_url: str | None, night: Night) -> str:
    """A link where it is one to the web; `|` and `>` would end it early."""
    if not report_url:
        return ""
    url = report_url.replace("{night}", quote(night.name, safe=""))
    if not WEB.fullmatch(url) or len(url) > SECTION_CHARS // 6:
        return f"Report: {code(url, 500)}"
    return f"<{''.join(ENTITIES.get(character, character) for character in url)}|Open the report>"


def _circumstances(run: Run | None, night: Night) -> str:
    window = f"{moment(night.since)} to {moment(night.until)} UTC"
    if run is None:
        return window
    sides = ", ".join(f"{slack_text(side.label)} {code(side.name, 80)}" for side in run.sides[:LISTED])
    counts = "" if run.summary is None else f" · {counted(run.summary.sessions, 'session')}"
    turns = "" if run.summary is None else f" · {counted(run.summary.turns, 'turn')}"
    return f"{sides}{counts}{turns} · {window} · run {code(run.run_id)}"


def _listed(title: str, lines: Sequence[str], after: Iterable[str] = ()) -> str:
    """A title, a bullet a line, and what comes after them; where there are many, how many more there are."""
    shown = [f"• {line}" for line in lines[:LISTED]]
    more = [f"and {len(lines) - LISTED:,} more"] if len(lines) > LISTED else []
    return "\n".join([*([title] if title else []), *shown, *more, *after])


def _section(text: str) -> Block:
    return {"type": "section", "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> Mapping[str, object]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}
