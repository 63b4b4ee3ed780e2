"""The review by its keys, in memory: what each does, what is stored, and what is said when the database is away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from shadowdiff.errors import StoreError
from shadowdiff.records import Label
from shadowdiff.render.text import visible
from shadowdiff.review.app import ReviewApp
from shadowdiff.review.links import has_display
from shadowdiff.runs import RunConfig
from tests.render_cases import COSINE, MINILM, run_of, session_of
from tests.review_cases import NOW, KeptLabels, driven, screen, sitting, until

if TYPE_CHECKING:
    from textual.pilot import Pilot

FOREIGN = Label("acme", "7f3a-t1", "kb-6", 0, "review", "bob [red]", NOW)


def shows(app: ReviewApp, text: str) -> Callable[[], bool]:
    """Whether it stands on the screen."""
    return lambda: text in screen(app)


async def press_until(pilot: Pilot[None], app: ReviewApp, keys: str, *texts: str) -> None:
    """Press, and wait for what that shows."""
    await pilot.press(*keys.split())
    for text in texts:
        await until(pilot, shows(app, text))


def test_keys_walk_the_run() -> None:
    """Differences across sessions, turns, entries, lists; text and help open and close; a narrow screen and a wide."""
    case = sitting(others=2)

    async def drive(pilot: Pilot[None], app: ReviewApp) -> None:
        assert "▸ ≠!=≠   hostil" in screen(app)
        await press_until(pilot, app, "n", "turn 2/4", "returned NaN for")
        await press_until(pilot, app, "n n", "session 7f3a", "turn 1/4")
        await press_until(pilot, app, "p p", "hostile ␛]0;pwned␇", "turn 2/4")
        await press_until(pilot, app, "right_square_bracket", "turn 3/4", "nothing: the pool is")
        await press_until(pilot, app, "l", "no entry stands here to label")
        await press_until(pilot, app, "comma comma", "turn 1/4")
        await press_until(pilot, app, "tab down", "▸ ≠≠=~   7f3a", "turn 1/4", "kb-6 · A 6 (0.55) · B 3 (0.76)")
        await press_until(pilot, app, "enter up up", "kb-3 · A 3 (0.76) · B 1 (0.9)")
        await press_until(pilot, app, "left end", "kb-5 · A 5 (0.62) · B 7 (0.48)")
        await press_until(pilot, app, "k k home", "kb-1 · A 1 (0.9)")
        await press_until(pilot, app, "enter", "Body of 1.", "esc back")
        await press_until(pilot, app, "down pagedown escape left down", "▸ =      s-quiet")
        await press_until(pilot, app, "n", "no difference after this one")
        await press_until(pilot, app, "question_mark", "Keys", "next difference, or next turn")
        await press_until(pilot, app, "q z", "≈  1 Data governance overview       = │")
        assert "s-quiet  -" not in screen(app)
        await press_until(pilot, app, "z", "▸ =      s-quiet")
        await pilot.press("q")

    driven(case.app, drive)
    assert case.app.lost == []
    assert len(case.stored.reads) == len(set(case.stored.reads)) == 3


def test_labels_and_comments_are_stored_at_once() -> None:
    """A label of one's own stands over others', which stay; undoing brings back what stood there before."""
    case = sitting(labels=KeptLabels([FOREIGN, replace(FOREIGN, source="qrels", author="", grade=3, labelled_at=None)]))
    labels = case.labels

    def ours() -> list[tuple[str, int]]:
        return [(label.entry_id, label.grade) for label in labels.labels if label.author == "ann [b]"]

    async def drive(pilot: Pilot[None], app: ReviewApp) -> None:
        await press_until(pilot, app, "down", "●0 bob [red] (review) 2026-11-20 08:15 · ●3 qrels", "SOC 2 Ty… ●0")
        await press_until(pilot, app, "l", "label kb-6", "2 a part of the answer")
        await press_until(pilot, app, "x", "? keys")
        await press_until(pilot, app, "l 2", "●2 ann [b] (review) 2026-11-20 08:15", "SOC 2 Ty… ●2")
        await until(pilot, lambda: ours() == [("kb-6", 2)])
        await press_until(pilot, app, "l 1", "●1 ann [b] (review) 2026-11-20 08:16", "labelled kb-6: 1 background")
        await until(pilot, lambda: ours() == [("kb-6", 1)])
        await press_until(pilot, app, "u", "kb-6 on turn 7f3a-t1 has 2 again", "●2 ann")
        await until(pilot, lambda: ours() == [("kb-6", 2)])
        await press_until(pilot, app, "u", "has no label of yours", "●0 bob [red]")
        await until(pilot, lambda: ours() == [])
        await press_until(pilot, app, "u", "nothing to undo")
        await press_until(pilot, app, "c", "comment on this turn")
        await press_until(pilot, app, "n o enter", "¶ ann [b] on the turn: no")
        await press_until(pilot, app, "tab c", "comment on kb-6")
        await press_until(pilot, app, "y e s enter", "¶ ann [b]: yes", "SOC 2… ●0 ¶")
        await press_until(pilot, app, "c escape q", "")

    driven(case.app, drive)
    assert [(item.turn_id, item.entry_id, item.body) for item in labels.comments] == [
        ("7f3a-t1", None, "no"),
        ("7f3a-t1", "kb-6", "yes"),
    ]
    assert FOREIGN in labels.labels


def test_search_and_filters_narrow_the_walk() -> None:
    """By titles, queries and ids; by outcome and org; against another side; and back."""
    case = sitting(others=2)

    async def drive(pilot: Pilot[None], app: ReviewApp) -> None:
        await until(
            pilot, lambda: any("encryption" in text for text in app._walk._folded.values()) if app._walk else False
        )
        await press_until(pilot, app, "slash", "search queries")
        await press_until(pilot, app, "s o c enter", "soc · 1 of 3 sessions", "▸ ≠≠=~   7f3a", "kb-6 ·")
        await press_until(pilot, app, "n n n n n", "no turn that fits after this one")
        await press_until(pilot, app, "escape", "  3 sessions")
        await press_until(pilot, app, "f", "turns that are")
        await press_until(pilot, app, "down down enter", "reordered · 1 of 3 sessions", "turn 4/4")
        await press_until(pilot, app, "slash z z z enter", "no session fits the search and filters")
        await press_until(pilot, app, "l n p o c s escape escape g", "sessions of", "日本 org [/b]")
        await press_until(pilot, app, "down enter", "acme · 2 of 3 sessions")
        await press_until(pilot, app, "escape s", "against A", "C bm25")
        await press_until(pilot, app, "down enter", "against  C bm25 ≥ 4.5")
        await pilot.press("q")

    driven(case.app, drive)


@pytest.mark.parametrize(
    ("sessions", "shown"), [((), "this run has no session"), (("hollow",), "session hollow has no turns")]
)
def test_where_there_is_nothing_no_key_does_anything(sessions: tuple[str, ...], shown: str) -> None:
    """A run of no sessions, and a session of no turns."""
    case = run_of([session_of(name, "acme", (), "AB") for name in sessions], (COSINE, MINILM), RunConfig())
    review = sitting(case=case)

    async def drive(pilot: Pilot[None], app: ReviewApp) -> None:
        await press_until(pilot, app, "n p ] l u c o tab down right left enter r z z slash x enter escape", shown)
        await pilot.press("q")

    driven(review.app, drive)
    assert (review.labels.labels, review.labels.comments) == ([], [])


def test_a_run_of_two_sides_has_no_other_side() -> None:
    """It is said rather than offered."""
    case = sitting()

    async def drive(pilot: Pilot[None], app: ReviewApp) -> None:
        await press_until(pilot, app, "s", "this run holds only B against A")
        await pilot.press("ctrl+q")

    driven(case.app, drive)


@pytest.mark.parametrize("display", [True, False])
def test_the_report_opens_at_the_turn(display: bool) -> None:
    """In a browser, or its address is shown for a browser elsewhere."""
    case = sitting(display=display)

    async def drive(pilot: Pilot[None], app: ReviewApp) -> None:
        link = "file:///nights/2026-11-20/report.html#turn=7f3a-t2"
        await press_until(pilot, app, "down right_square_bracket", "turn 2/4")
        await press_until(pilot, app, "o", link if not display else "opened in your browser")
        await pilot.press("escape", "q")
        assert case.opened == ([link] if display else [])

    driven(case.app, drive)


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({"DISPLAY": ":0"}, "linux", True),
        ({}, "linux", False),
        ({"DISPLAY": ":10", "SSH_CONNECTION": "1 2 3 4"}, "linux", False),
        ({"SSH_TTY": "/dev/ttys1"}, "darwin", False),
        ({}, "darwin", True),
        ({"BROWSER": "firefox"}, "linux", True),
    ],
)
def test_a_browser_needs_a_display_before_the_reader(
    environment: dict[str, str], platform: str, expected: bool
) -> None:
    """Forwarded displays of ssh are not the reader's own."""
    assert has_display(environment, platform) is expected


def test_a_database_that_is_away_is_said_and_tried_again() -> None:
    """While it is read, and while a label is to be stored: which is stored in the end."""
    labels = KeptLabels(away=True)
    case = sitting(labels=labels)

    async def drive(pilot: Pilot[None], app: ReviewApp) -> None:
        await press_until(pilot, app, "", "not read (r: again)", "listens there [red]x[/red]")
        labels.away = False
        await press_until(pilot, app, "r", "▸ ≠!=≠   hostil", "? keys")
        labels.away = True
        await press_until(pilot, app, "l 3", "1 label or comment is not stored yet (r: again)", "●3?")
        await press_until(pilot, app, "q", "1 not stored", "q: quit and lose them")
        await press_until(pilot, app, "x", "not stored yet")
        labels.away = False
        await press_until(pilot, app, "r", "? keys", "●3 ")
        assert "●3?" not in screen(app)
        await pilot.press("q")

    driven(case.app, drive)
    assert [label.grade for label in labels.labels] == [3]
    assert case.app.lost == []


def test_what_is_lost_in_the_end_is_named() -> None:
    """Where the reader leaves although the database is away."""
    labels = KeptLabels()
    case = sitting(labels=labels)

    async def drive(pilot: Pilot[None], app: ReviewApp) -> None:
        labels.away = True
        await press_until(pilot, app, "l 3", "not stored yet")
        await press_until(pilot, app, "c h i enter", "2 labels and comments are not stored yet")
        await press_until(pilot, app, "q", "2 not stored")
        await pilot.press("q")

    driven(case.app, drive)
    assert case.app.lost == [
        "label 3 of entry h-7 on turn hostile \x1b]0;pwned\x07\u202e-t1",
        "comment on turn hostile \x1b]0;pwned\x07\u202e-t1: hi",
    ]
    assert isinstance(case.app.reason, StoreError)


@pytest.mark.parametrize("size", [(40, 12), (60, 20), (80, 24), (120, 40), (200, 50)])
def test_whatever_the_database_holds_is_only_shown(size: tuple[int, int]) -> None:
    """No control character reaches the screen, no markup is read, no line is too wide; in any size of terminal."""
    case = sitting(others=2)
    seen: list[str] = []

    async def drive(pilot: Pilot[None], app: ReviewApp) -> None:
        for key in ("n", "n", "s", "escape", "l", "escape", "c", "escape", "g", "escape", "enter", "escape", "o"):
            await pilot.press(key)
            await pilot.pause()
            strips = app.screen._compositor.render_strips()
            assert {strip.cell_length for strip in strips} == {size[0]}
            assert not any(
                "@click" in (segment.style.meta if segment.style else {}) for strip in strips for segment in strip
            )
            seen.append(screen(app))
        await pilot.press("q")

    driven(case.app, drive, size)
    assert all(visible(line) == line for text in seen for line in text.splitlines())
    assert any("[/b]" in text for text in seen)
