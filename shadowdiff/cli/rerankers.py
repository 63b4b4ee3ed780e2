"""`shadowdiff rerankers`: what is installed."""

from __future__ import annotations

import click

from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import opened, width_of


@click.command("rerankers")
@click.pass_obj
def command(invocation: Invocation) -> None:
    """List the kinds of reranker that are installed.

    Below them stand the short names of shadowdiff.toml.
    """
    from shadowdiff.render.listing import rerankers_table
    from shadowdiff.rerankers.registry import installed

    rows = [(kind.scheme, kind.description, kind.provider, kind.missing or "") for kind in installed()]
    with opened(None) as out:
        out.write(rerankers_table(rows, dict(invocation.settings.rerankers), width_of(out)))
