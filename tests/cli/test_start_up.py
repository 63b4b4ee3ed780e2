"""What every invocation costs, and what it may import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from shadowdiff.cli.main import COMMANDS
from tests.conftest import Cli

HEAVY = (
    "torch",
    "onnxruntime",
    "boto3",
    "sqlalchemy",
    "numpy",
    "rich.console",
    "alembic",
    "tokenizers",
    "transformers",
)
HELP = "import sys\nfrom shadowdiff.cli.main import main\ntry:\n    main({arguments})\nexcept SystemExit:\n    pass\n"


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """Help must come at once: none of the heavy packages is imported for it."""
    code = HELP.format(arguments=arguments) + f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stderr.strip() == "[]"
    assert "Usage: shadowdiff" in finished.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_with_an_example(cli: Cli, name: str) -> None:
    """Each command says what it does, and all but the plainest show an example."""
    help_text = cli(name, "--help").out
    assert len(help_text.splitlines()) > 4
    if name not in {"rerankers", "db"}:
        assert "Example" in help_text


def test_the_commands_are_listed(cli: Cli) -> None:
    """`shadowdiff --help` names every command and the exit codes."""
    help_text = cli("--help").out
    assert all(f"\n  {name} " in help_text for name in COMMANDS)
    assert "4 too many turns failed" in help_text


def test_version(cli: Cli) -> None:
    """`--version` is one line."""
    from shadowdiff import __version__

    assert cli("--version").out == f"shadowdiff {__version__}\n"
