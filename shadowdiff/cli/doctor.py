"""`shadowdiff doctor`: look at everything that the configuration names."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

import click

from shadowdiff.cli.carrying import named_sides
from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import colored, opened, width_of
from shadowdiff.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shadowdiff.findings import Examined

EPILOG = """\b
Examples:
  shadowdiff doctor
  shadowdiff doctor -A served -B onnx:models/v3 --sessions 1000
  shadowdiff doctor --format json | jq '.findings[] | select(.status != "ok")'

\b
Exit codes: 0 nothing failed · 2 something did"""


@click.command("doctor", epilog=EPILOG)
@click.option("-A", "baseline", metavar="SPEC", help="Side A, the baseline: a spec or a name from shadowdiff.toml.")
@click.option("-B", "others", multiple=True, metavar="SPEC", help="Side B; repeat for C, D, …")
@click.option(
    "--sessions",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    metavar="N",
    help="Look at the newest N sessions.",
)
@click.option("--pool", type=click.IntRange(min=1), default=50, show_default=True, help="Entries in a pool, at most.")
@click.option("--online", is_flag=True, help="Ask managed rerankers too; that may cost money.")
@click.option("--format", "kind", type=click.Choice(("terminal", "json")), default="terminal", show_default=True)
@click.option("--width", type=click.IntRange(min=40), metavar="N", help="Columns; default: the terminal's.")
@click.option("--color", type=click.Choice(("auto", "always", "never")), default="auto", show_default=True)
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    baseline: str | None,
    others: tuple[str, ...],
    **options: Any,
) -> int:
    """Check everything that the configuration names.

    One line each, ok, warn or fail, with what to do: the connection and its rights, the mapping,
    sessions, entries and embeddings, indexes, every side, the store. Nothing is written: the source is
    read in READ ONLY transactions, and one statement tries to write there, to see that it is refused.

    Without -A and -B: the sides of [replay] in shadowdiff.toml. Those of [rerankers] are always looked at.
    """
    from shadowdiff.checks.checkup import Checkup, Examinee, examine
    from shadowdiff.checks.every import CHECKS

    examinee = Examinee(
        settings=invocation.settings,
        mapping=lambda: invocation.mapping,
        source_url=lambda: invocation.source_url,
        store_url=lambda: invocation.store_url,
        sides=_sides(invocation, baseline, others),
        sessions=options["sessions"],
        pool=options["pool"],
        online=options["online"],
    )
    checkup = Checkup(examinee)
    try:
        return _written(examine(checkup, CHECKS), options["kind"], options["width"], options["color"])
    finally:
        checkup.close()


def _sides(invocation: Invocation, baseline: str | None, others: tuple[str, ...]) -> list[tuple[str, str]]:
    """Sides by label, then what production runs, then whatever else has a short name."""
    from shadowdiff.replay.sides import NO_SIDE

    settings, sides = invocation.settings, named_sides(invocation, baseline, others)
    found = list(zip(string.ascii_uppercase, [sides.baseline, *sides.others], strict=False))
    found += [("production", settings.production)] if settings.production not in {None, NO_SIDE} else []
    return [*found, *(("", name) for name in settings.rerankers)]


def _written(examined: Iterable[Examined], kind: str, width: int | None, color: str) -> int:
    from shadowdiff.findings import Status
    from shadowdiff.render.findings import finding_lines, findings_json
    from shadowdiff.render.lines import painter

    seen: list[Examined] = []

    def noted() -> Iterator[Examined]:
        for item in examined:
            seen.append(item)
            yield item

    with opened(None) as out:
        if kind == "json":
            out.write(findings_json(list(noted())))
        else:
            for line in finding_lines(noted(), width or width_of(out), painter(color=colored(color, out))):
                out.write(f"{line}\n")
                out.flush()
    failed = any(item.finding.status is Status.FAIL for item in seen)
    return ExitCode.USAGE if failed else ExitCode.DONE
