"""`shadowdiff`: the group of commands, and the one place where errors become a line and an exit code."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from pathlib import Path

import click

from shadowdiff import __version__
from shadowdiff.cli.invocation import Invocation
from shadowdiff.errors import ExitCode, ShadowdiffError

COLLECTED_AFTER = 50_000, 10, 10
"""Objects, and collections of younger ones, after which Python looks for circles of objects."""
COMMANDS = {
    "demo": "shadowdiff.cli.demo",
    "init": "shadowdiff.cli.init",
    "doctor": "shadowdiff.cli.doctor",
    "replay": "shadowdiff.cli.replay",
    "runs": "shadowdiff.cli.runs",
    "show": "shadowdiff.cli.show",
    "review": "shadowdiff.cli.review",
    "label": "shadowdiff.cli.label",
    "evaluate": "shadowdiff.cli.evaluate",
    "gate": "shadowdiff.cli.gate",
    "judge": "shadowdiff.cli.judge",
    "pilot": "shadowdiff.cli.pilot",
    "nightly": "shadowdiff.cli.nightly",
    "history": "shadowdiff.cli.history",
    "compare": "shadowdiff.cli.compare",
    "bless": "shadowdiff.cli.bless",
    "load": "shadowdiff.cli.load",
    "export": "shadowdiff.cli.export",
    "optimize": "shadowdiff.cli.optimize",
    "rerankers": "shadowdiff.cli.rerankers",
    "cache": "shadowdiff.cli.cache",
    "prune": "shadowdiff.cli.prune",
    "db": "shadowdiff.cli.db",
}


class LazyGroup(click.Group):
    """Imports a command's module only when that command is asked for, or listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a new user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command named, or None."""
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = importlib.import_module(module).command
        return command


EPILOG = """\b
Examples:
  shadowdiff demo
  shadowdiff replay --last 10 -A cosine -B onnx:models/v3
  shadowdiff show latest --only-changed

\b
Exit codes: 0 done, differences or not · 1 a gate was crossed · 2 usage or configuration
3 source or store unreachable · 4 too many turns failed · 5 a report was not delivered · 130 interrupted"""


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Read FILE, not ./shadowdiff.toml.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
@click.version_option(__version__, prog_name="shadowdiff", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, config: Path | None) -> None:
    """Replay recent production sessions through two or more rerankers, and diff what each would have surfaced.

    Every turn's pool of knowledge-base entries goes through the baseline (A) and the others (B, C, …) in shadow;
    what only one of them would have put in front of the user is shown side by side, session by session.
    """
    ctx.obj = Invocation(config_file=config)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with a documented code."""
    # Records refer to no one in circles: looking for circles every 700 objects is a fifth of a diff's time.
    gc.set_threshold(*COLLECTED_AFTER)
    _fill_closed_streams()
    code = _run(sys.argv[1:] if arguments is None else arguments)
    gc.freeze()  # the interpreter, as it ends, would look for circles once more
    sys.exit(code)


def _fill_closed_streams() -> None:
    """A standard stream that is closed (`>&-`) leads nowhere: else the next connection would take its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 open to the end


def _run(arguments: list[str]) -> int:
    from shadowdiff import diagnostics

    debug = "--debug" in arguments
    try:
        result = cli.main(arguments, prog_name="shadowdiff", standalone_mode=False)
    except click.UsageError as error:
        _tell(error)
        return ExitCode.USAGE
    except click.ClickException as error:
        diagnostics.error(error.format_message())
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        diagnostics.error("interrupted")
        return ExitCode.INTERRUPTED
    except ShadowdiffError as error:
        if debug:
            raise
        diagnostics.error(str(error))
        return error.exit_code
    except OSError as error:
        return _without_room(error, debug=debug)
    return int(result) if isinstance(result, int) else ExitCode.DONE


def _tell(error: click.UsageError) -> None:
    """A group without a command has its page shown; all else is one line, which goes on with where to look."""
    from shadowdiff import diagnostics

    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    said = " ".join(error.format_message().split()).removesuffix(".")
    diagnostics.error(f"{said}; see: {error.ctx.command_path} --help" if error.ctx else said)


def _without_room(error: OSError, *, debug: bool) -> int:
    """What click itself writes, such as a page of help, onto a disk that is full. Raises whatever else it is."""
    from shadowdiff import diagnostics
    from shadowdiff.cli.output import FULL, write_to_nobody

    if debug or error.errno not in FULL:
        raise error
    write_to_nobody()
    diagnostics.error(f"cannot write: {error.strerror}")
    return ExitCode.USAGE
