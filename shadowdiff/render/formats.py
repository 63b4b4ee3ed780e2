"""The output formats by name."""

from __future__ import annotations

from collections.abc import Callable

from shadowdiff.errors import ConfigError
from shadowdiff.nights import Surroundings
from shadowdiff.protocols import Renderer

FORMATS = ("terminal", "markdown", "html", "json", "jsonl", "csv", "junit")


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
    is told how much is not shown; `surroundings` is what stands beside the run.
    Raises ConfigError on an unknown format.
    """
    makers: dict[str, Callable[[], Renderer]] = {
        "terminal": lambda: _terminal(width, color, only_changed, surroundings),
        "json": lambda: _json(full_rankings, surroundings),
        "jsonl": lambda: _json_lines(full_rankings, surroundings),
        "markdown": lambda: _markdown(only_changed, surroundings),
        "junit": lambda: _junit(surroundings),
        "csv": lambda: _csv(full_rankings=full_rankings),
        "html": lambda: _html(surroundings),
    }
    if format not in makers:
        raise ConfigError(f"no output format {format!r}; use one of {', '.join(FORMATS)}")
    return makers[format]()


def _terminal(width: int, color: bool, only_changed: bool, surroundings: Surroundings | None) -> Renderer:
    from shadowdiff.render.terminal import TerminalRenderer

    return TerminalRenderer(width, color, only_changed, surroundings)


def _json(full_rankings: bool, surroundings: Surroundings | None) -> Renderer:
    from shadowdiff.render.structured import JsonRenderer

    return JsonRenderer(full_rankings, surroundings)


def _json_lines(full_rankings: bool, surroundings: Surroundings | None) -> Renderer:
    from shadowdiff.render.structured import JsonLinesRenderer

    return JsonLinesRenderer(full_rankings, surroundings)


def _markdown(only_changed: bool, surroundings: Surroundings | None) -> Renderer:
    from shadowdiff.render.markdown import MarkdownRenderer

    return MarkdownRenderer(only_changed, surroundings)


def _junit(surroundings: Surroundings | None) -> Renderer:
    from shadowdiff.render.junit import JunitRenderer

    return JunitRenderer(surroundings)


def _csv(*, full_rankings: bool) -> Renderer:
    from shadowdiff.render.spreadsheet import CsvRenderer

    return CsvRenderer(full_rankings)


def _html(surroundings: Surroundings | None) -> Renderer:
    from shadowdiff.render.html.renderer import HtmlRenderer

    return HtmlRenderer(surroundings)
