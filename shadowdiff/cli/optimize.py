"""`shadowdiff optimize`: faster forms of a model, and what each would do to the user's own rankings."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import MIN_WIDTH, opened, write_lines
from shadowdiff.cli.pooling import pool_options
from shadowdiff.cli.when import When
from shadowdiff.errors import ConfigError

if TYPE_CHECKING:
    from shadowdiff.optimize.report import Comparison, VariantFile
    from shadowdiff.optimize.variants import Workshop
    from shadowdiff.protocols import PooledTurn
    from shadowdiff.records import Session
    from shadowdiff.runs import RunConfig

DEFAULT_LAST = 20
DEFAULT_TURNS = 40
SESSIONS_AT_ONCE = 8

EPILOG = """\b
Examples:
  shadowdiff optimize models/v3
  shadowdiff optimize models/v3 --last 50 --turns 100 --org acme
  shadowdiff optimize /opt/models/v3 --output v3-fast --pool-from bm25
  shadowdiff optimize models/v3 --no-compare --force

\b
Then: shadowdiff replay --last 10 -A onnx:models/v3 -B onnx:models/v3,variant=fused"""


@click.command("optimize", epilog=EPILOG)
@click.argument("model_dir", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR", help="Write to DIR, not beside the model.")
@click.option("--force", is_flag=True, help="Write every variant anew, over whatever bears its name.")
@click.option("--no-compare", is_flag=True, help="Write the variants; score nothing, read no database.")
@click.option(
    "--last",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Compare on the newest N sessions (default {DEFAULT_LAST}).",
)
@click.option("--since", type=When(), metavar="24h|DATE", help="Sessions that started at or after this.")
@click.option("--org", "org_ids", multiple=True, metavar="ORG", help="Sessions of these orgs only; repeatable.")
@click.option(
    "--turns",
    type=click.IntRange(min=1),
    default=DEFAULT_TURNS,
    show_default=True,
    metavar="N",
    help="Turns compared, at most, spread over the sessions.",
)
@pool_options
@click.option("--max-length", type=click.IntRange(min=8), metavar="N", help="Tokens per pair (default: the model's).")
@click.option("--format", "kind", type=click.Choice(("terminal", "json")), default="terminal", show_default=True)
@click.option("--width", type=click.IntRange(min=MIN_WIDTH), metavar="N", help="Columns; default: the terminal's.")
@click.option("--color", type=click.Choice(("auto", "always", "never")), default="auto", show_default=True)
@click.pass_obj
def command(
    invocation: Invocation, /, model_dir: Path, output: Path | None, force: bool, no_compare: bool, **options: Any
) -> None:
    """Write faster forms of an ONNX cross-encoder, and say how each ranks on your own turns.

    MODEL_DIR holds model.onnx and tokenizer.json. Beside them are written, with the runtimes' own tools:
    model.fused.onnx (fused operators, the same scores), model.int8w.onnx (weights kept in 8 bits, computed
    with in floats) and model.int8.onnx (computed in 8 bits). How each was made stands in variants.json:
    what was made from an older model.onnx is made again.

    Then each is held against model.onnx in float32 on the pools of recent turns, together with OpenVINO
    where it is installed: which entries are surfaced, in which order, and how fast. Nothing is stored.
    """
    from shadowdiff import diagnostics
    from shadowdiff.optimize.variants import Workshop, check_model, write_variants

    check_model(model_dir)
    config = _config(options)
    turns = [] if no_compare else _turns(invocation, config, options["turns"])
    workshop = Workshop(model_dir, output or model_dir)
    written = write_variants(workshop, force=force, on_note=diagnostics.note)
    comparison = None if no_compare else _compared(workshop, written, turns, config, options["max_length"])
    _show(workshop.target, written, comparison, options)


def _config(options: dict[str, Any]) -> RunConfig:
    from shadowdiff.records import PoolOrigin, Window
    from shadowdiff.runs import RunConfig

    last = options["last"] or (None if options["since"] else DEFAULT_LAST)
    window = Window(last=last, since=options["since"], org_ids=options["org_ids"])
    return RunConfig(
        top_k=options["top_k"], pool=options["pool"], pool_from=PoolOrigin(options["pool_from"]), window=window
    )


def _turns(invocation: Invocation, config: RunConfig, limit: int) -> list[PooledTurn]:
    """At most `limit` turns with a pool, spread evenly over those of the window. Raises ConfigError, DatabaseError."""
    from dataclasses import replace

    from shadowdiff.records import Window
    from shadowdiff.replay.execute import describe_window

    source = invocation.source
    session_ids = source.session_ids(config.window)
    if not session_ids:
        raise ConfigError(
            f"no sessions {describe_window(config.window)}; nothing to compare on: "
            "write the variants alone with --no-compare"
        )
    turns: list[PooledTurn] = []
    for start in range(0, len(session_ids), SESSIONS_AT_ONCE):
        wanted = tuple(session_ids[start : start + SESSIONS_AT_ONCE])
        turns += _pooled(
            invocation, replace(config, window=Window()), list(source.sessions(Window(session_ids=wanted)))
        )
    chosen = min(limit, len(turns))
    return [turns[place * len(turns) // chosen] for place in range(chosen)]


def _pooled(invocation: Invocation, config: RunConfig, sessions: list[Session]) -> list[PooledTurn]:
    from shadowdiff.pools import Lexicons, PoolBuilder
    from shadowdiff.protocols import PooledTurn

    built = PoolBuilder(invocation.source, Lexicons(invocation.source), config).build(sessions)
    return [
        PooledTurn(session.org_id, session.session_id, turn, built[turn.turn_id].pool)
        for session in sessions
        for turn in session.turns
    ]


def _compared(
    workshop: Workshop, written: list[VariantFile], turns: list[PooledTurn], config: RunConfig, max_length: int | None
) -> Comparison:
    from shadowdiff import diagnostics
    from shadowdiff.optimize.compare import compare
    from shadowdiff.optimize.ways import ways

    entered = ways(workshop.source, workshop.target, written, max_length)
    with diagnostics.counted_progress("comparing") as on_progress:
        return compare(entered, turns, config, on_progress)


def _show(target: Path, written: list[VariantFile], comparison: Comparison | None, options: dict[str, Any]) -> None:
    from shadowdiff.render.optimize import optimize_json, optimize_lines

    with opened(None) as out:
        if options["kind"] == "json":
            out.write(optimize_json(str(target), written, comparison))
            return
        drawn = partial(optimize_lines, str(target), written, comparison)
        write_lines(out, drawn, options["width"], options["color"])
