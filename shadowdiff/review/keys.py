"""The keys of the review, once: bindings, the help and the line at the foot are made of them."""

from __future__ import annotations

from typing import NamedTuple

from shadowdiff.render.lines import BOLD, DIM, Line, Span, flowed


class Key(NamedTuple):
    """One thing to do."""

    keys: str
    """As Textual names them, separated by commas."""
    action: str
    shown: str
    """As the help names it."""
    hint: str
    """In a word, for the foot of the screen; empty: not there."""
    what: str


KEYS = (
    Key("n", "step(True)", "n", "next", "next difference, or next turn that the search or filter finds"),
    Key("p", "step(False)", "p", "previous", "the one before"),
    Key("right_square_bracket,full_stop", "turn(1)", "] .", "", "next turn of the session"),
    Key("left_square_bracket,comma", "turn(-1)", "[ ,", "", "turn before"),
    Key("tab,shift+tab", "switch", "tab", "", "between the sessions and the turn"),
    Key("enter", "enter", "enter", "text", "the entry's whole text; from the sessions, to the turn"),
    Key("l", "label", "l 0–3", "label", "label the entry: 0 not relevant, 1 background, 2 a part, 3 answers it"),
    Key("u", "undo", "u", "undo", "undo the last label"),
    Key("c", "comment", "c", "comment", "comment on the entry; from the sessions, on the turn"),
    Key("slash", "search", "/", "search", "search queries, titles, entry ids and session ids"),
    Key("f", "outcome", "f", "filter", "only sessions with a turn of one outcome"),
    Key("g", "org", "g", "", "only one org"),
    Key("s", "side", "s", "", "which side is held against A"),
    Key("escape", "clear", "esc", "", "leave search and filters"),
    Key("o", "report", "o", "report", "this turn in the HTML report"),
    Key("z", "zoom", "z", "", "the turn alone, or beside the sessions"),
    Key("r", "again", "r", "", "read again, and store again what was not stored"),
    Key("question_mark", "keys", "?", "keys", "these keys"),
    Key("q", "leave", "q", "quit", "quit"),
)

FIRST = ("?", "q")
"""Keys whose hints stand where no screen is too narrow for them."""

MOVING = (
    ("↑ ↓ j k", "in the sessions, or the turn's entries"),
    ("← →", "between A's list and the other's; left of A's are the sessions"),
    ("pgup pgdn", "in the sessions by pages; in a turn, through the entry's text"),
)

LEGEND = (
    ("= ~ ≠ !", "a turn that is the same, reordered, different, failed"),
    ("- +", "an entry only in A, only in the other side; counts of them beside a session"),
    ("≈", "a near-tie at the cut"),
    ("▸ 3  =", "rank on the other side; the same rank there"),
    ("· now 14", "outside the other's top K"),
    ("●2  ●2?", "the newest label; one that is not stored yet"),
    ("¶", "somebody commented on it"),
)


def hints() -> list[Span]:
    """The keys that a newcomer needs, for the foot of the screen; those that lead to all others first."""
    named = sorted((key for key in KEYS if key.hint), key=lambda key: key.shown not in FIRST)
    return [Span(f"{key.shown.split()[0]} {key.hint}", DIM) for key in named]


def help_lines(width: int) -> list[Line]:
    """All keys and signs."""
    groups = {
        "Keys": [(key.shown, key.what) for key in KEYS],
        "Moving": list(MOVING),
        "Signs": list(LEGEND),
    }
    lines: list[Line] = []
    for title, rows in groups.items():
        lines += [[Span(title, BOLD)], *(line for name, what in rows for line in _row(name, what, width)), []]
    return lines


def _row(name: str, what: str, width: int) -> list[Line]:
    lines = flowed([Span(what)], width, " " * 12)
    lines[0] = [Span(f"  {name}".ljust(12), BOLD), *lines[0][1:]]
    return lines
