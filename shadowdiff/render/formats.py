"""The output formats by name."""

from __future__ import annotations

from collections.abc import Callable

from shadowdiff.errors import ConfigError
from shadowdiff.nights import Surroundings
from shadowdiff.protocols import Renderer

FORMATS = ("terminal", "json", "jsonl", "csv", "html")


def renderer_for(
    format: str,  # noqa: A002 - named as the option is
    *,
    width: int = 100,
    color: bool = False,
    full_rankings: bool = False,
    only_changed: bool = False,
    surroundings: Surroundings | None = None,
) -> Renderer:
    """The renderer of one of FORMATS. `width` and `color` are the terminal's, `full_rankings` is JSON's and CSV's.

    `only_changed` says that the outcomes are filtered already, so that a reader
    is told how much is not shown. `surroundings` stand beside the run in formats
    that have room for them. Raises ConfigError on an unknown format.
    """
    makers: dict[str, Callable[[], Renderer]] = {
        "terminal": lambda: _terminal(width, color=color, only_changed=only_changed),
        "json": lambda: _json(full_rankings=full_rankings),
        "jsonl": lambda: _json_lines(full_rankings=full_rankings),
        "csv": lambda: _csv(full_rankings=full_rankings),
        "html": lambda: _html(surroundings),
    }
    if format not in makers:
        raise ConfigError(f"no output format {format!r}; use one of {', '.join(FORMATS)}")
    return makers[format]()


def _terminal(width: int, *, color: bool, only_changed: bool) -> Renderer:
    from shadowdiff.render.terminal import TerminalRenderer

    return TerminalRenderer(width, color=color, only_changed=only_changed)


def _json(*, full_rankings: bool) -> Renderer:
    from shadowdiff.render.structured import JsonRenderer

    return JsonRenderer(full_rankings=full_rankings)


def _json_lines(*, full_rankings: bool) -> Renderer:
    from shadowdiff.render.structured import JsonLinesRenderer

    return JsonLinesRenderer(full_rankings=full_rankings)


def _csv(*, full_rankings: bool) -> Renderer:
    from shadowdiff.render.spreadsheet import CsvRenderer

    return CsvRenderer(full_rankings)


def _html(surroundings: Surroundings | None) -> Renderer:
    from shadowdiff.render.html.renderer import HtmlRenderer

    return HtmlRenderer(surroundings)
