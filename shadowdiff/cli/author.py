"""Who speaks: whoever labels, comments or judges is stored beside what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from shadowdiff.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])


def author_option(does: str) -> Callable[[F], F]:
    """`--author`: who does that."""
    return click.option("--author", metavar="NAME", help=f"Who {does}; default: your user name.")


def user_name() -> str:
    """The name that the system knows the user by. Raises ConfigError where it knows none."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError) as error:
        raise ConfigError("this system does not say who you are; name yourself with: --author NAME") from error
