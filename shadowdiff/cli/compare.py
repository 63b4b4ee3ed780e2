"""`shadowdiff compare`: what changed between two runs of the same sides."""

from __future__ import annotations

from pathlib import Path

import click

from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import kind_option, opened, place_options, write_lines

EPILOG = """\b
Examples:
  shadowdiff compare 20261119-0214 20261120-0214
  shadowdiff compare 20261119-0214 latest --format markdown
  shadowdiff compare 20261119-0214 latest --format json -o changes.json"""


@click.command("compare", epilog=EPILOG)
@click.argument("before", metavar="BEFORE")
@click.argument("after", metavar="[AFTER]", default="latest")
@kind_option("terminal", "markdown", "json")
@click.option(
    "--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Sessions listed of each kind; 0: all."
)
@place_options
@click.pass_obj
def command(
    invocation: Invocation,
    before: str,
    after: str,
    kind: str,
    limit: int,
    output: Path | None,
    width: int | None,
    color: str,
) -> None:
    """Say what changed from run BEFORE to run AFTER: sessions newly different, newly failing, or fixed.

    Each is a run's id, the beginning of one, or `latest`. Both must have the same rerankers and settings, and
    sessions in both, over the same pools. What changed is then what no fingerprint sees: a provider's model,
    embeddings, term statistics, failures. Where a comparison would mean nothing, it is refused with the reason
    (exit 2). Nights share no sessions: see `shadowdiff history`.
    """
    from shadowdiff.render.comparison import comparison_json, comparison_lines, comparison_markdown
    from shadowdiff.replay.compared import compare_runs
    from shadowdiff.store.prune import require_sessions

    store = invocation.store
    earlier, later = store.get(before), store.get(after)
    for run in (earlier, later):
        require_sessions(run, store)
    changes = compare_runs(earlier, later, store)
    with opened(output) as out:
        if kind == "json":
            out.write(comparison_json(changes, later))
            return
        if kind == "markdown":
            out.write(comparison_markdown(changes, later, limit))
            return
        write_lines(out, lambda cells: comparison_lines(changes, later, cells, limit), width, color)
