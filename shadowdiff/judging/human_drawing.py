"""What a person who judges sees, as lines: two lists beside each other, or one below the other where it is narrow.

A question holds nothing of the sides, so nothing of them can stand here. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from shadowdiff.judging.comparisons import Question, ShownEntry
from shadowdiff.render.columns import DIVIDER
from shadowdiff.render.entry_text import text_lines
from shadowdiff.render.lines import BOLD, DIM, PLAIN, Line, Span, flowed, padded, plain, ruled
from shadowdiff.render.sessions import INDENT, counted
from shadowdiff.render.tables import sentence
from shadowdiff.render.text import cells, clip, fit, one_line, visible, wrap
from shadowdiff.verdicts import Choice, Opinion

BESIDE_FROM = 70
"""Columns from which on two lists stand beside each other."""
LEAST_LINES, MOST_LINES = 2, 6
"""Of an entry in its list: its title, and the beginning of its body."""
RANK_CELLS = 5
"""A cursor, a rank of two digits, and spaces."""
QUERY_ROOM = ((36, (4, 3)), (24, (3, 2)), (16, (2, 1)), (0, (1, 0)))
"""By the least height of the screen: lines of the query, and queries before it."""
NOT_THERE = "–"
ENDLESS = 1_000
BEGINNING = 2_000
"""Characters of a body of which a beginning is shown."""
CAPTIONS = {
    Choice.FIRST: "list 1 better",
    Choice.SECOND: "list 2 better",
    Choice.TIE: "tie",
    Choice.ABSTAINED: "cannot say",
}
CHOICE_KEYS = {"1": Choice.FIRST, "2": Choice.SECOND, "0": Choice.TIE, "a": Choice.ABSTAINED}
HINTS = ("↑↓ ⇥ move", "enter open", "m query", "r reason", "b back", "? keys", "q stop")
FEWER_HINTS = ("enter open", "r reason", "b back", "? keys", "q stop")
"""Where the others do not fit beside them."""
KEYS = (
    ("1", "list 1 is better: an answer made from it alone would serve the query better"),
    ("2", "list 2 is better"),
    ("0 =", "a tie: neither would serve better"),
    ("a", "abstain: you cannot say; that is counted, and is no tie"),
    ("↑ ↓", "the entry before and after; tab, ← and →: the other list"),
    ("enter", "the whole entry; there, arrows and pages scroll, and any other key leads back"),
    ("m", "the query and the conversation before it, whole"),
    ("r", "a reason in a line, stored with the verdict that you give next"),
    ("b", "back to the comparison before; what you said of it stands until you say something else"),
    ("q", "stop; what you said is stored, and the next time goes on from here"),
)
KEY_CELLS = 9


@dataclass(frozen=True, slots=True)
class Looking:
    """Where the person looks."""

    column: int = 0
    """0: list 1."""
    rank: int = 0
    """From 0 on; within the list, where it has an entry."""
    first: int = 0
    """The first rank that is shown."""


def head_line(number: int, whole: int, author: str, width: int) -> Line:
    """`comparison 7 of 40`, and who judges."""
    left = clip(f"comparison {number:,} of {whole:,}", width)
    who = clip(one_line(author), max(width - cells(left) - 3, 0))
    return ruled([Span(left)], [Span(who, DIM)] if who else [], width, " ")


def foot_lines(said: Opinion | None, reason: str, told: str, width: int) -> list[Line]:
    """What was said before or is to be told, the reason that waits for its verdict, and the keys."""
    lines: list[Line] = []
    if told:
        lines += [[Span(line, BOLD)] for line in wrap(one_line(told), width, 2)]
    before = [Span(f"you said: {CAPTIONS[said.choice]}")] if said is not None else []
    why = [Span(clip(f"reason: {one_line(reason)}", width))] if reason else []
    lines += flowed([*before, *why], width, "")
    choices = [Span(f"{key} {CAPTIONS[choice]}", BOLD) for key, choice in CHOICE_KEYS.items()]
    hints, fewer = (flowed([Span(hint, DIM) for hint in some], width, "") for some in (HINTS, FEWER_HINTS))
    return [*lines, *flowed(choices, width, ""), *(hints if len(hints) == 1 else fewer)]


def reason_lines(typed: str, width: int) -> list[Line]:
    """The line that is being typed: its end, where it is longer than the screen is wide."""
    caption, cursor = "reason: ", "▏"
    shown = visible(typed)
    while cells(shown) > max(width - cells(caption) - 1, 1):
        shown = shown[1:]
    hints = [Span(hint, DIM) for hint in ("enter done", "esc as it was", "then the verdict")]
    return [[Span(clip(f"{caption}{shown}{cursor}", width), BOLD)], *flowed(hints, width, "")]


def comparison_page(
    question: Question, looking: Looking, head: Line, foot: Sequence[Line], size: tuple[int, int]
) -> tuple[list[Line], Looking]:
    """Query and both lists between head and foot, as far as the screen goes; and what is really looked at."""
    width, height = size
    above = [head, *_asked(question, width, height)]
    is_beside = width >= BESIDE_FROM
    room = max(height - len(above) - len(foot) - 1, 2)
    pane_height = room if is_beside else room // 2
    longest = max(len(question.first), len(question.second), 1)
    lines = min(max((pane_height - 1) // longest, LEAST_LINES), MOST_LINES, max(pane_height - 1, 1))
    fits = max((pane_height - 1) // lines, 1)
    looking = _within(question, looking, fits)
    pane_width = (width - cells(DIVIDER)) // 2 if is_beside else width
    panes = [
        _pane(question, column, looking, (lines, range(looking.first, looking.first + fits)), pane_width)
        for column in (0, 1)
    ]
    body = _beside(panes, pane_width) if is_beside else [line for pane in panes for line in pane]
    body += [[] for _ in range(room - len(body))]
    # However low the screen, the keys stand on it.
    asked = [*above, *body][: max(height - len(foot) - 1, 0)]
    shown = min(looking.first + fits, longest)
    return [*asked, _ranks(looking.first, shown, longest, width), *foot], looking


def whole_entry(question: Question, looking: Looking, width: int) -> list[Line]:
    """The entry that is looked at, as far as the judge is shown it; empty where the list has none."""
    places = _lists(question)[looking.column]
    if looking.rank >= len(places):
        return []
    entry = question.entries[places[looking.rank]]
    where = f"list {looking.column + 1}, {_at(looking.rank)}"
    other = _other_rank(question, looking.column, places[looking.rank])
    also = f"in list {2 - looking.column}: {NOT_THERE if other is None else _at(other)}"
    title = [[Span(line, BOLD)] for line in wrap(_title(entry), width, ENDLESS)]
    body = list(text_lines(entry.body, width)) if entry.body.strip() else [[Span("(no text)", DIM)]]
    return [*flowed([Span(where, DIM), Span(also, DIM)], width, ""), *title, *body]


def whole_query(question: Question, width: int) -> list[Line]:
    """The conversation before, and the query."""
    lines: list[Line] = []
    for asked, answered in question.history:
        lines += _spoken("user", asked, width, PLAIN)
        lines += _spoken("assistant", answered, width, DIM) if answered else []
    return [*lines, *_spoken("user, now", question.query, width, BOLD)]


def scrolled(text: Sequence[Line], first: int, head: Line, back: str, size: tuple[int, int]) -> tuple[list[Line], int]:
    """A text from line `first` (from 0) on, and that line: at most that of the last screenful.

    `back` says how one comes back.
    """
    width, height = size
    room = max(height - 2, 1)
    first = max(min(first, len(text) - room), 0)
    shown = text[first : first + room]
    padding: list[Line] = [[] for _ in range(room - len(shown))]
    where = f"lines {first + 1:,} to {first + len(shown):,} of {len(text):,}, ↑↓ scroll · " if len(text) > room else ""
    foot = clip(f"{where}{back}", max(width - 4, 1))
    return [head, *shown, *padding, ruled([Span(f"─ {foot}", DIM)], [], width, "─")], first


def keys_page(width: int) -> list[Line]:
    """All keys, and what stands where."""
    lines: list[Line] = [[Span(clip("Which list would let the query be answered better?", width), BOLD)]]
    for key, what in KEYS:
        (_, *first), *rest = flowed([Span(what)], width, " " * KEY_CELLS)
        lines += [[Span(f"{INDENT}{key}".ljust(KEY_CELLS), BOLD), *first], *rest]
    lines += sentence(
        "Which list is list 1 was drawn by a coin. Behind a title stands where the other list has it; –: nowhere.",
        width,
    )
    return lines


def moved(question: Question, looking: Looking, key: str) -> Looking:
    """Where the person looks after a key that moves; there already, where it does not."""
    column, rank = looking.column, looking.rank
    if key in ("tab", "left", "right"):
        column = 1 - column if key == "tab" else int(key == "right")
    else:
        steps = {"up": -1, "down": 1, "k": -1, "j": 1, "page up": -5, "page down": 5, "home": -ENDLESS, "end": ENDLESS}
        rank += steps.get(key, 0)
    last = len(_lists(question)[column]) - 1
    return Looking(column, max(min(rank, last), 0), looking.first)


def _within(question: Question, looking: Looking, fits: int) -> Looking:
    """With the first rank moved as little as shows the cursor."""
    longest = max(len(question.first), len(question.second))
    first = max(min(looking.first, looking.rank), looking.rank - fits + 1)
    return Looking(looking.column, looking.rank, max(min(first, longest - fits), 0))


def _asked(question: Question, width: int, height: int) -> list[Line]:
    """The query, with as much of the conversation before as the height allows."""
    most_lines, most_earlier = next(most for least, most in QUERY_ROOM if height >= least)
    earlier = question.history[max(len(question.history) - most_earlier, 0) :]
    left = len(question.history) - len(earlier)
    lines: list[Line] = []
    for number, (asked, _) in enumerate(earlier):
        more = f" (and {counted(left, 'turn')} before that)" if left and not number else ""
        lines.append([Span(f"{clip(f'before: {one_line(asked)}', max(width - cells(more), 0))}{more}", DIM)])
    return [*lines, *([Span(line, BOLD)] for line in wrap(f"“{one_line(question.query)}”", width, most_lines))]


def _lists(question: Question) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return question.first, question.second


def _other_rank(question: Question, column: int, place: int) -> int | None:
    """Of an entry of one list, its rank in the other one, from 0 on."""
    other = _lists(question)[1 - column]
    return other.index(place) if place in other else None


def _pane(question: Question, column: int, looking: Looking, window: tuple[int, range], width: int) -> list[Line]:
    """The heading of a list, and those of its entries that are shown, each in so many lines."""
    lines, ranks = window
    places = _lists(question)[column]
    heading = f"list {column + 1}, best first" if places else f"list {column + 1}: no entry"
    there = [Span(f"in list {2 - column}", DIM)] if places else []
    pane: list[Line] = [ruled([Span(heading, BOLD)], there, width, "─")]
    for rank in ranks:
        is_looked_at = looking.column == column and looking.rank == rank
        shown: list[Line] = []
        if rank < len(places):
            shown = _entry(question, column, rank, lines, width)
            shown[0] = [Span("▸ " if is_looked_at else "  ", BOLD), *shown[0]]
        pane += [*shown, *([] for _ in range(lines - len(shown)))]
    return pane


def _entry(question: Question, column: int, rank: int, lines: int, width: int) -> list[Line]:
    """Rank, title and the beginning of the body; behind the title, where the entry stands in the other list."""
    place = _lists(question)[column][rank]
    entry, other = question.entries[place], _other_rank(question, column, place)
    there = NOT_THERE if other is None else _at(other)
    title = fit(_title(entry), max(width - RANK_CELLS - cells(there) - 1, 1))
    indent, room = " " * RANK_CELLS, max(width - RANK_CELLS, 1)
    body = wrap(one_line(entry.body[:BEGINNING]), room, lines - 1) if lines > 1 else []
    return [
        [Span(f"{rank + 1:>2} "), Span(title, BOLD if other is None else PLAIN), Span(f" {there}", DIM)],
        *([Span(f"{indent}{line}", DIM)] for line in body),
    ]


def _title(entry: ShownEntry) -> str:
    return one_line(entry.title) or "(no title)"


def _at(rank: int) -> str:
    return f"at {rank + 1}"


def _beside(panes: Sequence[list[Line]], width: int) -> list[Line]:
    pairs = zip_longest(*panes, fillvalue=list[Span]())
    return [[*padded(left, width), Span(DIVIDER, DIM), *right] for left, right in pairs]


def _ranks(first: int, shown: int, longest: int, width: int) -> Line:
    """The rule below the lists: which ranks are shown, where there are others."""
    if first == 0 and shown == longest:
        return [Span("─" * width, DIM)]
    return ruled([Span(clip(f"─ {first + 1} to {shown} of {longest}, ↑↓ scroll", width), DIM)], [], width, "─")


def _spoken(who: str, text: str, width: int, style: str) -> list[Line]:
    lines = text_lines(text, max(width - len(INDENT), 1))
    return [[Span(f"{who}:", DIM)], *([Span(f"{INDENT}{plain(line)}", style)] for line in lines)]
