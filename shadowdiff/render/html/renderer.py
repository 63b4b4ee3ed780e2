"""A run as one HTML file: everything in it, nothing from elsewhere, and a policy that the browser holds it to."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import quote

from shadowdiff.nights import Surroundings
from shadowdiff.records import SessionOutcome
from shadowdiff.render.columns import heading_of
from shadowdiff.render.html.entries import TEXT_BYTES, Entries
from shadowdiff.render.html.head import head_of
from shadowdiff.render.html.payload import session_json, views
from shadowdiff.render.html.spool import Spool
from shadowdiff.render.html.tallies import Tallies
from shadowdiff.render.matches import STOP_WORDS
from shadowdiff.render.text import one_line
from shadowdiff.runs import Run

if TYPE_CHECKING:
    from jinja2 import Environment, Template

HERE = Path(__file__).parent
SCRIPTS = ("dom", "payload", "words", "filters", "lists", "cards", "entry", "steps", "links", "page")
"""Parts of the one script, in order."""


class HtmlRenderer:
    """Writes one self-contained page; sessions stream to a temporary file, so that memory does not grow with texts."""

    def __init__(self, surroundings: Surroundings | None = None, *, text_bytes: int = TEXT_BYTES) -> None:
        """`surroundings` stand beside the run; of entries' texts the page carries about `text_bytes`, compressed."""
        self._surroundings = surroundings or Surroundings()
        self._text_bytes = text_bytes

    def render(self, run: Run, outcomes: Iterable[SessionOutcome], out: TextIO) -> None:
        """Write the page: it begins with figures of all sessions, so nothing is written before the last was seen."""
        with ExitStack() as stack:
            sessions, entry_lines, texts = (stack.enter_context(Spool()) for _ in range(3))
            entries, tallies = Entries(entry_lines, texts, self._text_bytes), Tallies(run)
            for outcome in outcomes:
                tallies.add(outcome)
                sessions.add(session_json(run, outcome, entries))
            page = _template().stream(
                head=head_of(run, tallies, self._surroundings),
                partial=_partial(run, sessions.lines),
                texts_left_out=entries.left_out,
                policy=_policy(),
                style=_style(),
                script=_script(),
                facts=_facts(run),
                blocks={"sessions": sessions.base64(), "entries": entry_lines.base64(), "texts": texts.base64()},
            )
            page.enable_buffering(64)
            out.writelines(page)


def _partial(run: Run, held: int) -> str:
    """That some of the run's sessions were left out before they came here; empty where none was."""
    every = run.summary.sessions if run.summary else held
    return f"This page holds {held:,} of the run's {every:,} sessions." if held < every else ""


def _facts(run: Run) -> dict[str, Any]:
    """What the script must know of the run before it reads a session."""
    return {
        "sides": [{"label": side.label, "heading": heading_of(side)} for side in run.sides],
        "views": {name: [side.label for side in sides] for name, sides in views(run).items()},
        "topK": run.config.top_k,
        "stopWords": sorted(STOP_WORDS),
    }


@cache
def _template() -> Template:
    return _environment().get_template("page.html.j2")


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"fragment": _fragment, "shown": one_line}
    return made


def _fragment(text: str) -> str:
    """An id as it stands in a link's fragment, as `encodeURIComponent` writes it; lone surrogates cannot."""
    return quote(text.encode("utf-8", "replace"), safe="!*'()~")


@cache
def _style() -> str:
    return (HERE / "page.css").read_text(encoding="utf-8")


@cache
def _script() -> str:
    parts = ((HERE / "scripts" / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"


@cache
def _policy() -> str:
    """Nothing is allowed but this very script, this very style, and the icon, which is a data URL."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(_script())}'",
            f"style-src '{_hash(_style())}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
