"""Ready lines for cron and systemd on this machine. Pure but for where this program lies."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

AT = "02:30"


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a night is called."""

    program: tuple[str, ...]
    """The command with its absolute path."""
    directory: Path
    """Where it is called: paths in shadowdiff.toml and in specs count from there."""
    config: Path | None
    """The shadowdiff.toml, where it is not the directory's own."""
    name: str
    """Of the configuration."""
    home: str | None = None
    """SHADOWDIFF_HOME, where it is set now."""

    @property
    def words(self) -> list[str]:
        """The command line."""
        config = [] if self.config is None else ["--config", str(self.config)]
        return [*self.program, *config, "nightly"]


def this_program() -> tuple[str, ...]:
    """The command as it was called, with its absolute path; this Python and the module where it has none."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py" or not program.exists():
        return sys.executable, "-m", "shadowdiff"
    return (str(program.absolute()),)


def cron(schedule: Schedule) -> str:
    """A crontab that mails what is not well: the command says nothing otherwise."""
    hour, minute = AT.split(":")
    set_home = f"SHADOWDIFF_HOME={_in_cron(schedule.home)} " if schedule.home else ""
    command = " ".join(_in_cron(word) for word in schedule.words)
    return (
        "# Once a night; cron mails whatever is printed, and nothing is when all is well.\n"
        "# What the night needs of the environment (SHADOWDIFF_DATABASE_URL, AWS_PROFILE, a webhook's URL) goes above\n"
        "# the line, as NAME=value.\n"
        f"{int(minute)} {int(hour)} * * * cd {_in_cron(str(schedule.directory))} && {set_home}{command}\n"
    )


def systemd(schedule: Schedule) -> str:
    """A service and a timer of systemd, each under the name of its file."""
    unit = "shadowdiff-" + re.sub(r"[^A-Za-z0-9_.-]+", "-", schedule.name)
    home = f"Environment={_in_systemd(f'SHADOWDIFF_HOME={schedule.home}')}\n" if schedule.home else ""
    command = " ".join(_in_systemd(word) for word in schedule.words)
    return (
        f"# ~/.config/systemd/user/{unit}.service\n"
        "[Unit]\n"
        "Description=shadowdiff: what other rerankers would have surfaced last night\n"
        "\n"
        "[Service]\n"
        "Type=oneshot\n"
        f"WorkingDirectory={str(schedule.directory).replace('%', '%%')}\n"
        f"{home}"
        "# What the night needs of the environment, one NAME=value a line:\n"
        "EnvironmentFile=-%h/.config/shadowdiff.env\n"
        f"ExecStart={command}\n"
        "\n"
        f"# ~/.config/systemd/user/{unit}.timer\n"
        "[Unit]\n"
        f"Description=Every night at {AT}: {unit}.service\n"
        "\n"
        "[Timer]\n"
        f"OnCalendar=*-*-* {AT}:00\n"
        "Persistent=true\n"
        "\n"
        "[Install]\n"
        "WantedBy=timers.target\n"
        "\n"
        f"# then: systemctl --user daemon-reload && systemctl --user enable --now {unit}.timer\n"
    )


def _in_cron(word: str) -> str:
    """Quoted for the shell, and with the sign that cron takes for a line break kept from it."""
    return shlex.quote(word).replace("%", r"\%")


def _in_systemd(word: str) -> str:
    """Quoted as systemd reads it: `%` begins a specifier, `$` a variable."""
    doubled = word.replace("%", "%%").replace("$", "$$")
    if doubled and not any(sign in doubled for sign in " \t'\"\\;"):
        return doubled
    escaped = doubled.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
