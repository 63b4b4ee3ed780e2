"""`shadowdiff replay --follow`: stays, and shows each new session once it has been idle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from shadowdiff import diagnostics
from shadowdiff.cli.ending import Ending
from shadowdiff.cli.output import (
    OutputOptions,
    chosen_outcomes,
    chosen_renderer,
    opened,
    require_writable,
    with_texts,
    write_run,
    write_to_nobody,
)
from shadowdiff.cli.when import Duration
from shadowdiff.durations import written
from shadowdiff.errors import ConfigError

if TYPE_CHECKING:
    from shadowdiff.cli.carrying import SideOptions
    from shadowdiff.cli.invocation import Invocation
    from shadowdiff.nights import Surroundings
    from shadowdiff.replay.coming import Ears
    from shadowdiff.replay.execute import Replay
    from shadowdiff.runs import Run, RunConfig

IDLE_SECONDS = 600.0
POLL_SECONDS = 15.0
SECONDS_BETWEEN_SAFETY_POLLS = 60.0
"""Where sessions are announced: what is announced while nobody can hear is found all the same."""
LEAST_SECONDS = 1.0
STREAMED_FORMATS = ("terminal", "jsonl")
NOT_BESIDE: Mapping[str, str] = {
    "last": "it waits for sessions to come; begin with earlier ones by --since",
    "until": "it ends with Ctrl-C",
    "session_ids": "it shows every session that comes",
    "sample": "nobody knows yet how many sessions will come",
    "resume": "go on with a run that was cut short by replay --resume alone",
    "dry_run": "nobody knows yet what will be asked",
    "latency_turns": "turns are timed when a run is through; time them with replay --since",
}
"""Options that --follow leaves no meaning, and why."""
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class FollowOptions:
    """How sessions are followed; in seconds."""

    idle: float = IDLE_SECONDS
    poll: float | None = None
    """None: POLL_SECONDS, but rarely where the database announces sessions."""


def follow_options(function: F) -> F:
    """Add the options that FollowOptions collects."""
    options = (
        click.option(
            "--follow",
            is_flag=True,
            help="Stay, and show each new session once it has been idle; Ctrl-C ends with the summary.",
        ),
        click.option(
            "--idle",
            type=Duration(LEAST_SECONDS),
            metavar="10m",
            help="With --follow: a session is idle once its last turn is so old (default 10m).",
        ),
        click.option(
            "--poll",
            type=Duration(LEAST_SECONDS),
            metavar="15s",
            help="With --follow: how often to look for new sessions (default 15s, or 60s where the database "
            "announces them).",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def followed(options: dict[str, Any], output: OutputOptions, resume: str | None) -> FollowOptions | None:
    """Collect (and remove) the options of following; None where nothing is followed.

    Raises ConfigError for options that do not go together.
    """
    follows, idle, poll = (options.pop(name) for name in ("follow", "idle", "poll"))
    if not follows:
        for name, given in (("idle", idle), ("poll", poll)):
            if given is not None:
                raise ConfigError(f"--{name} goes with --follow: it says how sessions are followed")
        return None
    for name, why in NOT_BESIDE.items():
        if resume if name == "resume" else options[name]:
            raise ConfigError(f"--follow does not go with {_option(name)}: {why}")
    if _is_streamed(output) and output.sort != "time":
        raise ConfigError(
            f"--follow shows sessions as they come, not by {output.sort}; give -o FILE, which is written at the end"
        )
    return FollowOptions(IDLE_SECONDS if idle is None else idle, poll)


def _option(name: str) -> str:
    names = {"session_ids": "session", "latency_turns": "latency"}
    return f"--{names.get(name, name).replace('_', '-')}"


def _is_streamed(output: OutputOptions) -> bool:
    """Whether sessions are written as they come; a file, or one document, is written whole at the end."""
    return output.output is None and output.format in STREAMED_FORMATS


def follow(
    invocation: Invocation,
    sides: SideOptions,
    config: RunConfig,
    following: FollowOptions,
    output: OutputOptions,
    **how: Any,
) -> tuple[Run, Callable[..., None]]:
    """Follow sessions until the end is asked for; returns the run, and what writes of it what is not written yet.

    That is called with the run and its `surroundings`. `how` is what `prepared`
    takes. Raises ConfigError, SourceError, StoreError; and KeyboardInterrupt when
    the end was asked for twice.
    """
    from shadowdiff.cli.carrying import built, check_cap, prepared
    from shadowdiff.replay.coming import Ears

    require_writable(output.output)
    ears = Ears()
    invocation.ending = Ending(ears.wake)
    contenders, config = built(invocation, sides, _from_now_on(invocation, config))
    check_cap(config, contenders, how["max_usd"])
    replay = prepared(invocation, contenders, **how)
    run = replay.start(config, ())
    if not _is_streamed(output):
        finished = _carried_out(invocation, replay, run, following, ears)
        return finished, partial(write_run, invocation=invocation, options=output)
    with opened(None) as out:
        page = _Page(run, invocation, output, out)
        return _carried_out(invocation, replace(replay, on_stored=page.add), run, following, ears), page.end


def _from_now_on(invocation: Invocation, config: RunConfig) -> RunConfig:
    """The configuration with a window that has no end, from now on by the source's clock where nothing else is said."""
    from shadowdiff.records import Window

    org_ids = config.window.org_ids
    if org_ids:
        invocation.source.session_ids(Window(org_ids=org_ids, last=1))  # an org that is not known is a mistake
    since = config.window.since or invocation.source.activity(())[0].astimezone(UTC)
    return replace(config, window=Window(since=since, org_ids=org_ids))


def _carried_out(invocation: Invocation, replay: Replay, run: Run, options: FollowOptions, ears: Ears) -> Run:
    from shadowdiff.cli.carrying import carrying_out
    from shadowdiff.render.sessions import counted
    from shadowdiff.replay.coming import Coming
    from shadowdiff.replay.follow import Following

    ending = invocation.ending or Ending()
    with carrying_out(invocation, run), _seconds_between_polls(invocation, options, ears) as seconds, ending:
        following = Following(timedelta(seconds=options.idle))
        coming = Coming(invocation.source, run.config.window, following, ears, seconds, ending.is_asked)
        _tell(run, options, seconds())
        finished = replay.finish(run, coming=coming)
    if following.open_sessions:
        diagnostics.note(f"still open, and not in the run: {counted(following.open_sessions, 'session')}")
    return finished


@contextmanager
def _seconds_between_polls(invocation: Invocation, options: FollowOptions, ears: Ears) -> Iterator[Callable[[], float]]:
    """How long to wait from one poll to the next: long, while a database is listened to that announces sessions."""
    often = options.poll or POLL_SECONDS
    if not invocation.mapping.is_own:
        yield lambda: often
        return
    seldom = options.poll or SECONDS_BETWEEN_SAFETY_POLLS
    with invocation.source.listener(ears.hear) as listener:
        if listener.refusal:
            diagnostics.note(f"the database cannot be listened to: {listener.refusal}")
        yield lambda: seldom if listener.is_listening else often


def _tell(run: Run, options: FollowOptions, seconds_between_polls: float) -> None:
    from shadowdiff.render.sessions import moment

    since = run.config.window.since or run.started_at
    diagnostics.note(
        f"following sessions that start from {moment(since)} UTC on, looked for every "
        f"{written(seconds_between_polls)} at least"
    )
    diagnostics.note(
        f"each is shown once it has been idle for {written(options.idle)}; Ctrl-C ends with the summary, "
        "a second one at once"
    )


class _Page:
    """Sessions as they come, on stdout. A reader that has seen enough ends it all."""

    def __init__(self, run: Run, invocation: Invocation, output: OutputOptions, out: TextIO) -> None:
        from shadowdiff.protocols import StreamingRenderer

        self._run = run
        self._invocation = invocation
        self._output = output
        self._out = out
        renderer = chosen_renderer(output, out)
        if not isinstance(renderer, StreamingRenderer):
            raise ConfigError(f"--follow cannot write {output.format} as sessions come")
        self._stream = renderer.stream(run, out)
        out.flush()

    def add(self, session_ids: Sequence[str]) -> None:
        """Write these sessions, which are stored."""
        chosen = chosen_outcomes(self._run, self._invocation.store, self._output, session_ids)
        try:
            for outcome in with_texts(self._run, self._invocation, chosen):
                self._stream.add(outcome)
            self._out.flush()
        except BrokenPipeError:
            write_to_nobody()
            if self._invocation.ending is not None:
                self._invocation.ending.ask()

    def end(self, run: Run, surroundings: Surroundings) -> None:
        """Write what stands at the end."""
        with opened(None):
            self._stream.end(run, surroundings.gates)
