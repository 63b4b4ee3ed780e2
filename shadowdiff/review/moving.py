"""How the reader moves: through sessions, turns and entries, and by search and filters among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from shadowdiff.records import Outcome
from shadowdiff.render.columns import column_cells
from shadowdiff.render.lines import BOLD, Span
from shadowdiff.render.text import one_line, visible
from shadowdiff.review.drawing import Spot
from shadowdiff.review.keys import help_lines
from shadowdiff.review.model import View, Walk
from shadowdiff.review.screens import Ask, Choice, Reading
from shadowdiff.review.view import ReviewView
from shadowdiff.review.widgets import Lines, Places

AHEAD, BEHIND = 8, 2
"""Sessions that are read before they are asked for."""

T = TypeVar("T")


class MovingView(ReviewView):
    """The view with everything that only changes what is shown of the run."""

    def _say(self, text: str, style: str = BOLD) -> None:
        self._notice = [Span(visible(text), style)]
        self._draw_foot()

    def _moved(self) -> None:
        self._notice = []
        self._want()
        self._draw()

    def _want(self) -> None:
        if self._walk is not None:
            self._reader.want(self._walk.near(AHEAD, BEHIND))

    def on_places_chosen(self, event: Places.Chosen) -> None:
        """A session."""
        if self._walk is not None and self._walk.go(event.place):
            self._moved()

    def on_lines_clicked(self, event: Lines.Clicked) -> None:
        """A session, or an entry."""
        walk, page = self._walk, self._page
        if walk is not None and event.lines is self._sessions and event.row < len(walk.shown):
            walk.go(event.row)
            self._moved()
        elif page is not None and event.lines is self._at("turn"):
            spot = Spot(int(event.column > column_cells(event.lines.room, 2)), event.row - page.first_row)
            if page.entry_id(spot) is not None:
                self._spot = spot
                self._show_cursor()

    def on_descendant_focus(self) -> None:
        """The cursor shows where the keys go; on a narrow screen only that is shown."""
        self._share()

    def action_step(self, forward: bool) -> None:
        """To the next difference, or whatever the view asks for."""
        if self._walk is None:
            return
        if self._walk.step(forward):
            self._at("turn").focus()
            self._moved()
        else:
            what = "turn that fits" if self._walk.view.picks_turns else "difference"
            self._say(f"no {what} {'after' if forward else 'before'} this one")

    def action_turn(self, by: int) -> None:
        """Within the session."""
        if self._walk is not None and self._walk.step_turn(by):
            self._moved()

    def action_entry(self, by: int) -> None:
        """Within the list."""
        if self._page is not None:
            self._spot = self._page.moved(self._spot, by)
            self._show_cursor()

    def action_across(self, by: int) -> None:
        """To the other list; left of the first are the sessions."""
        spot = self._page.across(self._spot, self._spot.column + by) if self._page else None
        if spot is not None:
            self._spot = spot
            self._show_cursor()
        elif by < 0 and self._spot.column + by < 0:
            self._is_zoomed = False
            self.action_switch()

    def action_switch(self) -> None:
        """Between the sessions and the turn."""
        turn = self._at("turn")
        self._sessions.display = self.query_one("#right").display = True
        (self._sessions if turn.has_focus else turn).focus()

    def action_scroll_entry(self, by: int) -> None:
        """The entry's text."""
        entry = self._at("entry")
        entry.scroll_relative(y=by * max(entry.size.height - 1, 1), animate=False)

    def action_enter(self) -> None:
        """From the sessions to the turn; there, all of the entry."""
        if self._sessions.has_focus:
            self.action_switch()
        elif self._entry_lines(self.size.width):
            self.push_screen(Reading(self._entry_lines))

    def action_zoom(self) -> None:
        """The turn alone, or not."""
        self._is_zoomed = not self._is_zoomed
        if self._is_zoomed and self._sessions.has_focus:
            self.action_switch()
        self._share()

    def action_keys(self) -> None:
        """All of them."""
        self.push_screen(Reading(help_lines))

    def _look(self, view: View) -> None:
        if self._walk is not None:
            self._walk.look(view)
            self._moved()

    def action_search(self) -> None:
        """In queries, titles and ids."""
        walk = self._walk
        if walk is not None:
            question = "search queries, titles, entry ids and session ids · enter: find · esc: leave"
            self.push_screen(Ask(question, walk.view.sought), partial(self._search, walk))

    def _search(self, walk: Walk, sought: str | None) -> None:
        if sought is not None:
            self._look(replace(walk.view, sought=sought))
            if not self._shown_run.config.store_text:
                self._say("this run stored no texts: a search finds ids only")

    def action_clear(self) -> None:
        """Everything."""
        walk = self._walk
        if walk is not None and walk.view != View(walk.view.side):
            self._look(View(walk.view.side))

    def action_outcome(self) -> None:
        """Only turns that ended so."""
        self._choose(
            "turns that are", list(Outcome), lambda view: view.outcome, lambda view, o: replace(view, outcome=o)
        )

    def action_org(self) -> None:
        """Only of one org."""
        orgs = self._walk.orgs if self._walk else []
        self._choose("sessions of", orgs, lambda view: view.org, lambda view, org: replace(view, org=org))

    def action_side(self) -> None:
        """Another one against A."""
        walk, sides = self._walk, self._shown_run.others
        if walk is None:
            return
        if len(sides) == 1:
            self._say(f"this run holds only {sides[0].label} against {self._shown_run.baseline.label}")
            return
        names = [one_line(f"{side.label} {side.name}") for side in sides]
        at = [side.label for side in sides].index(walk.view.side)

        def chosen(place: int | None) -> None:
            if place is not None:
                self._look(replace(walk.view, side=sides[place].label))

        self.push_screen(Choice("against A", names, at), chosen)

    def _choose(
        self,
        title: str,
        values: Sequence[T],
        held: Callable[[View], T | None],
        changed: Callable[[View, T | None], View],
    ) -> None:
        walk = self._walk
        if walk is None:
            return
        every: list[T | None] = [None, *values]
        names = ["any" if value is None else one_line(str(value)) for value in every]

        def chosen(place: int | None) -> None:
            if place is not None:
                self._look(changed(walk.view, every[place]))

        self.push_screen(Choice(title, names, every.index(held(walk.view))), chosen)
