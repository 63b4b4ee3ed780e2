"""What stands on the screen of `shadowdiff label`, as lines. It is given nothing of a side, so it can show nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shadowdiff.labelling.grades import Scale, meanings
from shadowdiff.labelling.sitting import Place, Sitting
from shadowdiff.records import Entry, Turn
from shadowdiff.render.entry_text import body_lines
from shadowdiff.render.lines import BOLD, DIM, FAILED, Line, Span, flowed, ruled
from shadowdiff.render.sessions import INDENT, asked_text, counted
from shadowdiff.render.tables import sentence
from shadowdiff.render.text import clip, one_line, wrap

QUERY_LINES = 4
EARLIER_TURNS = 3
"""Of the conversation so far, shown above the query."""
LEAST_BODY = 4
"""Lines of an entry's text for which the conversation makes room."""
ENDLESS = 1_000
"""Lines of a query or a title that is shown whole."""
SEARCHED = "searched with: "
KEYS = (
    ("s", "skip the entry; it is asked again the next time"),
    ("b", "back to the entry before, to label it again"),
    ("m", "all of the conversation and of the entry; arrows, pages and space scroll, m again: back"),
    ("?", "these keys, and what grades mean"),
    ("q", "stop; what is labelled is stored, and the next time goes on from here"),
)
HINTS = "s skip", "b back", "m more", "? keys", "q stop"
KEY_CELLS = 6


@dataclass(frozen=True, slots=True)
class Asked:
    """An entry that is to be labelled, and the turn that it is of."""

    earlier: Sequence[Turn]
    """Turns of the conversation before, in order."""
    turn: Turn
    entry: Entry


@dataclass(frozen=True, slots=True)
class Said:
    """What is said at the foot of the screen."""

    text: str = ""
    is_failure: bool = False


NOTHING = Said()


def progress_line(sitting: Sitting, place: Place, author: str, width: int) -> Line:
    """`turn 3 of 40 · entry 5 of 14 · 212 of 560 labelled`, and who labels."""
    turn = sitting.turns[place.turn]
    left = (
        f"turn {place.turn + 1:,} of {len(sitting.turns):,} · entry {place.entry + 1} of {len(turn.entry_ids)} · "
        f"{sitting.done:,} of {sitting.total:,} labelled"
    )
    who = clip(one_line(author), max(width - len(left) - 4, 0))
    return ruled([Span(clip(left, width))], [Span(who, DIM)] if who else [], width, " ")


def asked_page(asked: Asked, head: Line, foot: Sequence[Line], size: tuple[int, int]) -> list[Line]:
    """The conversation in brief, the query and the beginning of the entry, between head and foot."""
    width, height = size
    body, earlier = _entry(asked.entry, width, 2), _earlier(asked.earlier, width, EARLIER_TURNS)
    rule: Line = [Span("─" * width, DIM)]
    left = height - len(foot) - 3
    # Of a low screen, the entry has the larger part: nobody can label what they do not see.
    query = _query(asked.turn, width, max(min(QUERY_LINES, left - LEAST_BODY), 1))[: max(left - LEAST_BODY, 1)]
    room = left - len(query)
    if room - len(earlier) < LEAST_BODY:
        earlier = []
    return [head, *earlier, *query, rule, *_cut(body, room - len(earlier), width), rule, *foot]


def whole_page(
    asked: Asked, head: Line, foot: Sequence[Line], size: tuple[int, int], first: int
) -> tuple[list[Line], int]:
    """All that there is to read, from line `first` (0-based) on as far as the screen goes; and that line, if it is one.

    Beyond its end, the last screenful is shown.
    """
    width, height = size
    text = [
        *_earlier(asked.earlier, width, len(asked.earlier)),
        *_query(asked.turn, width, ENDLESS),
        [Span("─" * width, DIM)],
        *_entry(asked.entry, width, ENDLESS),
    ]
    room = max(height - len(foot) - 2, 1)
    first = max(min(first, len(text) - room), 0)
    shown = text[first : first + room]
    padding: list[Line] = [[] for _ in range(room - len(shown))]
    lines = f"lines {first + 1:,} to {first + len(shown):,} of {len(text):,} · space: on"
    where = f"{lines if len(shown) < len(text) else 'all of it'} · m: back"
    return [head, *shown, *padding, ruled([Span(clip(where, width), DIM)], [], width, "─"), *foot], first


def foot_lines(scale: Scale, given: int | None, said: Said, width: int) -> list[Line]:
    """What was said last, then the keys."""
    parts = [Span(f"{meaning} ✓" if grade == given else meaning, BOLD) for grade, meaning in enumerate(meanings(scale))]
    keys = [Span(hint, DIM) for hint in HINTS]
    style = FAILED if said.is_failure else BOLD
    told = [[Span(line, style)] for line in wrap(one_line(said.text), width, 3)] if said.text else []
    return [*told, *flowed(parts, width, ""), *flowed(keys, width, "")]


def scrolled_keys(scale: Scale, first: int, size: tuple[int, int]) -> tuple[list[Line], int]:
    """All keys from line `first` (0-based) on, as far as the screen goes; and that line, if it is one."""
    width, height = size
    text, end = keys_page(scale, width), [Span(clip("any key: back to the entry", width), DIM)]
    if len(text) + 2 <= height:
        return [*text, [], end], 0
    room = max(height - 1, 1)
    first = max(min(first, len(text) - room), 0)
    more = f"lines {first + 1} to {first + room} of {len(text)}, ↑↓ scroll · any other key: back"
    return [*text[first : first + room], [Span(clip(more, width), DIM)]], first


def keys_page(scale: Scale, width: int) -> list[Line]:
    """All keys, and what grades mean."""
    lines = flowed([Span("Grades: how far does the entry answer the query, in its conversation?", BOLD)], width, "")
    lines += [[Span(f"{INDENT}{meaning}")] for meaning in meanings(scale)]
    lines += [[], [Span("Keys", BOLD)]]
    for key, what in KEYS:
        (_, *first), *rest = flowed([Span(what)], width, " " * KEY_CELLS)
        lines += [[Span(f"{INDENT}{key}".ljust(KEY_CELLS), BOLD), *first], *rest]
    return [*lines, [], *sentence("Entries stand in a drawn order, which is the same for everybody.", width)]


def end_page(sitting: Sitting, said: Said, width: int) -> list[Line]:
    """Once there is nothing left to ask."""
    counts = f"{sitting.done:,} of {sitting.total:,} labelled · {sitting.labelled_now:,} now"
    lines: list[Line] = [
        [Span(clip(counts, width), DIM)],
        [],
        [Span("That was the last entry.", BOLD)],
    ]
    if sitting.skipped:
        left = "1 entry was" if sitting.skipped == 1 else f"{sitting.skipped:,} entries were"
        lines += sentence(f"{left} skipped, and will be asked the next time.", width)
    told = [[Span(line, BOLD)] for line in wrap(said.text, width, 3)] if said.text else []
    return [*lines, [], *told, [Span("b back to the last one · q end", DIM)]]


def _earlier(turns: Sequence[Turn], width: int, most: int) -> list[Line]:
    """The queries of the turns before, a line each, the latest ones."""
    shown = turns[max(len(turns) - most, 0) :]
    left = len(turns) - len(shown)
    lines = [[Span(f"… {counted(left, 'earlier turn')}", DIM)]] if left else []
    return [*lines, *([Span(clip(f"before: {asked_text(turn)}", width), DIM)] for turn in shown)]


def _query(turn: Turn, width: int, most: int) -> list[Line]:
    lines: list[Line] = [[Span(line, BOLD)] for line in wrap(asked_text(turn), width, most)]
    if turn.search_query and turn.missing_text is None:
        lines += [[Span(line, DIM)] for line in wrap(f"{SEARCHED}{one_line(turn.search_query)}", width, most // 2)]
    return lines


def _entry(entry: Entry, width: int, title_lines: int) -> list[Line]:
    """Title, or id where it has none, and text."""
    title = one_line(entry.title) or one_line(entry.entry_id)
    body = list(body_lines(entry, width))
    return [*([Span(line, BOLD)] for line in wrap(title, width, title_lines)), *(body or [[Span("(no text)", DIM)]])]


def _cut(lines: Sequence[Line], room: int, width: int) -> list[Line]:
    """As many lines as there is room for; fewer are filled up, so that keys always stand at one place."""
    room = max(room, 1)
    if len(lines) <= room:
        return [*lines, *([] for _ in range(room - len(lines)))]
    left = len(lines) - room + 1
    return [*lines[: room - 1], [Span(clip(f"… {counted(left, 'more line')}; m: all of it", width), DIM)]]
