"""Which options somebody gave, as against those that have their default."""

from __future__ import annotations

from collections.abc import Collection

import click
from click.core import ParameterSource


def given_options(names: Collection[str]) -> list[str]:
    """Of these parameters of the command at hand, those that were given, as they are written."""
    context = click.get_current_context()
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
