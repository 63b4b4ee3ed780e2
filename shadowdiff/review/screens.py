"""What opens above the review: a text to read, a choice, a line to write, a grade to give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from shadowdiff.labelling.grades import GRADED, meanings
from shadowdiff.render.lines import BOLD, DIM, Line, Span, flowed
from shadowdiff.render.text import clip
from shadowdiff.review.drawing import REVERSE
from shadowdiff.review.widgets import Lines, Places

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult

GRADES = meanings(GRADED)

Write = Callable[[int], Sequence[Line]]
"""Lines for a width."""


class Reading(ModalScreen[None]):
    """A text over the whole screen: an entry, or the keys."""

    DEFAULT_CSS = """
    Reading { background: ansi_default; }
    Reading Lines { height: 1fr; padding: 0 1; }
    Reading #end { height: 1; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,question_mark,space", "dismiss", "close"),
        Binding("up,k", "scroll(-1)", "up"),
        Binding("down,j", "scroll(1)", "down"),
        Binding("pageup", "page(-1)", "page up"),
        Binding("pagedown", "page(1)", "page down"),
        Binding("home", "scroll(-1000000)", "first"),
        Binding("end", "scroll(1000000)", "last"),
    ]

    def __init__(self, write: Write) -> None:
        super().__init__()
        self._write = write

    def compose(self) -> ComposeResult:
        """The text, and how to leave it."""
        yield Lines(id="text")
        yield Lines(id="end", classes="fixed")

    def on_resize(self) -> None:
        """Draw for the new width."""
        self.call_after_refresh(self._draw)

    def action_scroll(self, by: int) -> None:
        """By lines."""
        self._text.scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        """By what is in view."""
        self._text.scroll_relative(y=by * max(self._text.size.height - 1, 1), animate=False)

    @property
    def _text(self) -> Lines:
        return self.query_one("#text", Lines)

    def _draw(self) -> None:
        self._text.show(self._write(self._text.room))
        self.query_one("#end", Lines).show([[Span("↑ ↓ scroll · esc back", DIM)]])


class Choice(ModalScreen[int]):
    """One of a few, or of many, by name. Gives its place; nothing where the reader leaves it."""

    DEFAULT_CSS = """
    Choice { align: center middle; background: ansi_default; }
    Choice Vertical { width: 44; max-width: 90%; height: auto; max-height: 80%; border: round ansi_default; }
    Choice #title { height: 1; }
    Choice Places { height: auto; max-height: 20; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "leave"),
        Binding("enter,space", "choose", "choose"),
    ]

    def __init__(self, title: str, names: Sequence[str], chosen: int) -> None:
        """`names` are `one_line` texts."""
        super().__init__()
        self._title, self._names, self._chosen = title, names, chosen

    def compose(self) -> ComposeResult:
        """The question and the names."""
        with Vertical():
            yield Lines(id="title", classes="fixed")
            yield Places(self._line, id="names")

    def on_mount(self) -> None:
        """Stand at what is chosen now."""
        self.call_after_refresh(self._draw)

    def on_places_chosen(self, event: Places.Chosen) -> None:
        """Move there."""
        self._places.stand(event.place, len(self._names))

    def on_lines_clicked(self, event: Lines.Clicked) -> None:
        """Take what was clicked."""
        if event.lines is self._places and event.row < len(self._names):
            self.dismiss(event.row)

    def action_choose(self) -> None:
        """Take it."""
        self.dismiss(self._places.place)

    @property
    def _places(self) -> Places:
        return self.query_one("#names", Places)

    def _draw(self) -> None:
        self._places.styles.height = min(len(self._names), max(self.size.height - 8, 3))
        self.query_one("#title", Lines).show([[Span(f" {self._title}", BOLD)]])
        self._places.stand(self._chosen, len(self._names))
        self._places.focus()

    def _line(self, place: int, width: int, has_focus: bool) -> Line:
        is_chosen = place == self._places.place
        text = clip(f" {'▸' if is_chosen else ' '} {self._names[place]}", width)
        return [Span(text.ljust(width) if is_chosen else text, REVERSE if is_chosen else "")]


class Foot(ModalScreen[str]):
    """Asks at the foot of the screen; what is behind stays in view."""

    DEFAULT_CSS = """
    Foot { align: left bottom; background: transparent; }
    Foot #question { height: 1; padding: 0 1; background: ansi_default; }
    Foot Input, Foot Input:focus { height: 1; border: none; padding: 0 1; background: ansi_default; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "leave")]

    def __init__(self, question: str) -> None:
        """`question` is a `one_line` text."""
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question."""
        yield Lines(id="question", classes="fixed")

    def on_mount(self) -> None:
        """Draw it once there is a width."""
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        """Draw it for the new width."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        question = self.query_one("#question", Lines)
        lines = flowed([Span(part, BOLD) for part in self._question.split(" · ")], question.room, "")
        question.styles.height = len(lines)
        question.show(lines)


class Ask(Foot):
    """A line to write. Gives it without spaces at its ends; nothing where the reader leaves."""

    def __init__(self, question: str, text: str = "") -> None:
        super().__init__(question)
        self._given = text

    def compose(self) -> ComposeResult:
        """The question above, the line below."""
        yield from super().compose()
        yield Input(self._given, compact=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Done."""
        self.dismiss(event.value.strip())


class Press(Foot):
    """One key out of a few, given back; any other leaves."""

    def __init__(self, question: str, keys: str) -> None:
        super().__init__(question)
        self._keys = keys

    def on_key(self, event: events.Key) -> None:
        """Whatever is pressed ends it."""
        event.stop()
        event.prevent_default()
        self.dismiss(event.key if event.key in self._keys else None)
