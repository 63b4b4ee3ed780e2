"""Options of every command that makes pools: how many entries, from where, and how many of them a user is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from shadowdiff.records import POOLS_TO_ASK_FOR

F = TypeVar("F", bound=Callable[..., Any])

OPTIONS = (
    click.option("--top-k", type=click.IntRange(min=1), default=10, show_default=True, help="Entries a user is shown."),
    click.option(
        "--pool", type=click.IntRange(min=1), default=50, show_default=True, help="Entries in a pool, at most."
    ),
    click.option(
        "--pool-from",
        type=click.Choice(POOLS_TO_ASK_FOR),
        default="recorded",
        show_default=True,
        help="What production recorded, or retrieve anew.",
    ),
)


def pool_options(function: F) -> F:
    """Add them in this order: `top_k`, `pool` and `pool_from`, as RunConfig calls them."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function
