"""Widgets that show lines, and nothing but lines: no text of a database is ever read as markup."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from shadowdiff.render.lines import Line

if TYPE_CHECKING:
    from textual import events

LineOf = Callable[[int, int, bool], Line]
"""The line at a place, for a width, and whether its list has the focus."""


@lru_cache(maxsize=256)
def _style(definition: str) -> Style:
    return Style.parse(definition)


def strip_of(line: Line, width: int) -> Strip:
    """A line as the screen takes it: exactly `width` cells."""
    strip = Strip([Segment(span.text, _style(span.style)) for span in line if span.text])
    return strip.adjust_cell_length(width)


class Lines(ScrollView):
    """Lines that are drawn when they come into view."""

    can_focus = False
    DEFAULT_CSS = """
    Lines { overflow-x: hidden; overflow-y: auto; background: ansi_default; }
    Lines { scrollbar-gutter: stable; scrollbar-size-vertical: 1; }
    Lines.fixed { overflow-y: hidden; scrollbar-gutter: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = []

    class Widened(Message):
        """There is another width to draw for."""

    class Clicked(Message):
        """Somebody clicked at this cell of the lines."""

        def __init__(self, lines: Lines, column: int, row: int) -> None:
            super().__init__()
            self.lines, self.column, self.row = lines, column, row

        @property
        def control(self) -> Lines:
            """Whose."""
            return self.lines

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 Textual's name
        """Of the class `fixed`, they are never scrolled."""
        super().__init__(id=id, classes=classes)
        self._shown: Sequence[Line] = ()
        self._width = 0

    def on_resize(self, event: events.Resize) -> None:
        """Ask to be drawn anew: behind another screen that comes as late as that one closes."""
        if event.size.width != self._width:
            self._width = event.size.width
            self.post_message(self.Widened())

    @property
    def room(self) -> int:
        """Cells that a line may take; at least one."""
        return max(self.scrollable_content_region.width, 1)

    def show(self, lines: Sequence[Line]) -> None:
        """These, from wherever the reader has scrolled to."""
        self._shown = lines
        self.virtual_size = Size(self.room, len(lines))
        self.refresh()

    def line(self, place: int) -> Line:
        """What stands there; nothing beyond the end."""
        return self._shown[place] if 0 <= place < len(self._shown) else []

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        return strip_of(self.line(y + round(self.scroll_y)), self.size.width)

    def bring(self, place: int) -> None:
        """Scroll as little as shows this line."""
        self.scroll_to_region(Region(0, place, 1, 1), animate=False, force=True)

    def on_click(self, event: events.Click) -> None:
        """Say where, counted from the first line."""
        self.post_message(self.Clicked(self, event.x, event.y + round(self.scroll_y)))


class Places(Lines):
    """A list of any length with one place chosen; a line is made when it comes into view."""

    can_focus = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(-1)", "up"),
        Binding("down,j", "step(1)", "down"),
        Binding("pageup", "page(-1)", "page up"),
        Binding("pagedown", "page(1)", "page down"),
        Binding("home", "end(False)", "first"),
        Binding("end", "end(True)", "last"),
    ]

    class Chosen(Message):
        """Another place was chosen by key."""

        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

    def __init__(self, line_of: LineOf, *, id: str | None = None) -> None:  # noqa: A002 named as Textual names it
        super().__init__(id=id)
        self._line_of = line_of
        self._length = 0
        self.place = 0

    def stand(self, place: int, length: int) -> None:
        """Show a list of this length with this place chosen."""
        self._length, self.place = length, place
        self.virtual_size = Size(self.room, length)
        self.bring(place)
        self.refresh()

    def line(self, place: int) -> Line:
        """Made for now."""
        return self._line_of(place, self.room, self.has_focus) if 0 <= place < self._length else []

    def on_focus(self) -> None:
        """The chosen place shows who has the focus."""
        self.refresh()

    def on_blur(self) -> None:
        """The same."""
        self.refresh()

    def action_step(self, by: int) -> None:
        """Up or down."""
        self._choose(self.place + by)

    def action_page(self, by: int) -> None:
        """As many as are in view."""
        self._choose(self.place + by * max(self.size.height - 1, 1))

    def action_end(self, last: bool) -> None:
        """To the first or the last."""
        self._choose(self._length - 1 if last else 0)

    def _choose(self, place: int) -> None:
        place = max(0, min(place, self._length - 1))
        if self._length and place != self.place:
            self.post_message(self.Chosen(place))


class Turn(Lines):
    """Two lists side by side, in which the app moves a cursor."""

    can_focus = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "app.entry(-1)", "up"),
        Binding("down,j", "app.entry(1)", "down"),
        Binding("home", "app.entry(-1000000)", "first"),
        Binding("end", "app.entry(1000000)", "last"),
        Binding("left", "app.across(-1)", "left"),
        Binding("right", "app.across(1)", "right"),
        Binding("pageup", "app.scroll_entry(-1)", "page up"),
        Binding("pagedown", "app.scroll_entry(1)", "page down"),
    ]
