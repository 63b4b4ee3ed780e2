"""`shadowdiff replay --dry-run`: what a replay would ask and cost, with nothing sent and nothing stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shadowdiff.cli.output import OutputOptions, opened, write_lines
from shadowdiff.errors import ConfigError

if TYPE_CHECKING:
    from shadowdiff.cli.invocation import Invocation
    from shadowdiff.replay.sides import Contender
    from shadowdiff.runs import RunConfig

FORMATS = ("terminal", "json")


def show_forecast(
    invocation: Invocation,
    contenders: Sequence[Contender],
    config: RunConfig,
    session_ids: Sequence[str],
    output: OutputOptions,
    *,
    no_cache: bool,
    max_usd: float | None,
) -> None:
    """Read the sessions, add up what each side lacks, and write it. Raises ConfigError, SourceError, StoreError."""
    from shadowdiff import diagnostics
    from shadowdiff.render.forecast import forecast_json, forecast_lines
    from shadowdiff.replay.estimate import estimate

    if output.format not in FORMATS:
        raise ConfigError(f"--dry-run has no format {output.format!r}; use one of {', '.join(FORMATS)}")
    cache = None if no_cache else invocation.store
    with diagnostics.counted_progress("reading sessions") as on_read:
        found = estimate(contenders, config, invocation.source, session_ids, cache, on_read)
    with opened(output.output) as out:
        if output.format == "json":
            out.write(forecast_json(found, max_usd))
            return
        write_lines(out, lambda width: forecast_lines(found, width, max_usd), output.width, output.color)
