"""One call of `shadowdiff nightly`: what was cut short, tonight's sessions, gates, and reports to where they go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from shadowdiff.cli.invocation import Invocation
from shadowdiff.config import Settings
from shadowdiff.errors import ConfigError, ExitCode, HeldError, SpendingCapError, TooManyFailuresError
from shadowdiff.nights import NightStatus
from shadowdiff.records import PoolOrigin, SessionOutcome, Window
from shadowdiff.runs import RunConfig, RunStatus

if TYPE_CHECKING:
    from shadowdiff.cli.carrying import SideOptions
    from shadowdiff.gates.rules import Rule
    from shadowdiff.nightly.deliveries import Courier
    from shadowdiff.nightly.report import NightReport
    from shadowdiff.nightly.settings import NightlySettings
    from shadowdiff.nights import GateOutcome, Night
    from shadowdiff.runs import Run
    from shadowdiff.store.holds import Hold
    from shadowdiff.store.nights import NightStore

WORST_FIRST = (ExitCode.TURNS_FAILED, ExitCode.GATE_CROSSED, ExitCode.UNDELIVERED)


@dataclass
class Problems:
    """What is not well with a night: a line each, and the exit code that tells the worst of them."""

    codes: set[ExitCode] = field(default_factory=set)

    def tell(self, code: ExitCode, line: str) -> None:
        """Say it at once: what comes later may fail."""
        from shadowdiff import diagnostics

        self.codes.add(code)
        diagnostics.error(line)

    @property
    def exit_code(self) -> ExitCode:
        """Turns that failed come before a gate, as it judged what is left; a gate before what was not delivered."""
        return next((code for code in WORST_FIRST if code in self.codes), ExitCode.DONE)


@dataclass(frozen=True)
class Nights:
    """What is configured, when it is, and what is found to be wrong."""

    invocation: Invocation
    rules: tuple[Rule, ...]
    now: datetime
    since: datetime | None = None
    """Where the window begins, in place of the watermark."""
    problems: Problems = field(default_factory=Problems)

    @property
    def settings(self) -> NightlySettings:
        """[nightly]."""
        return self.invocation.settings.nightly

    @cached_property
    def store(self) -> NightStore:
        """Of nights, beside that of runs."""
        from shadowdiff.store.nights import NightStore

        return NightStore(self.invocation.store)

    def run(self) -> list[Night]:
        """The night that was cut short, if there is one, and tonight's; then whatever is undelivered.

        Returns the nights that ended. Raises HeldError where another process is at it.
        """
        with self.store.hold(self.settings.name) as hold:
            ended = list(self._ended_nights(hold))
            for problem in self.courier.deliver_all():
                self.problems.tell(ExitCode.UNDELIVERED, problem)
        return ended

    def _ended_nights(self, hold: Hold) -> Iterator[Night]:
        cut_short = self.store.unfinished(self.settings.name)
        resumed = None if cut_short is None else self._resumed(cut_short, hold)
        if resumed is not None:
            yield resumed
        if resumed is None or resumed.until.date() != self.now.date():
            dropped = cut_short if resumed is None else None
            yield self._tonight(hold, dropped)

    def _resumed(self, night: Night, hold: Hold) -> Night | None:
        """Go on with a night that a call before this one began; None where nothing of it can be gone on with."""
        from shadowdiff import diagnostics

        if night.run_id is None:
            self.store.drop(night)
            return None
        diagnostics.note(f"going on with night {night.name}, which was cut short")
        try:
            run = self._gone_on_with(night.run_id)
        except HeldError:
            raise
        except ConfigError as error:
            diagnostics.warning(
                f"night {night.name} was cut short and cannot be gone on with: {error}; what it replayed stays as run "
                f"{night.run_id}, and tonight replays its sessions"
            )
            self.store.drop(night)
            return None
        return self._ended(night, run, hold)

    def _gone_on_with(self, run_id: str) -> Run:
        from shadowdiff.cli.carrying import resume_run

        run = self.invocation.store.get(run_id)
        return run if run.status is RunStatus.DONE else resume_run(self.invocation, run_id, **self._how())

    def _tonight(self, hold: Hold, dropped: Night | None) -> Night:
        """A new night; of what one that was dropped was to replay, nothing is left out."""
        from shadowdiff.cli.carrying import replay_sessions

        last = self.store.last_done(self.settings.name)
        self._refuse_the_past(last)
        since, session_ids = self._chosen(None if last is None else last.until, dropped)
        night = self.store.begin(self.settings.name, f"{self.now:%Y-%m-%d}", since, self.now)
        if not session_ids:
            return self._ended(night, None, hold)
        sides, config = self._sides(), self._config(night)
        beside = self.store.attaching(night)
        run = replay_sessions(self.invocation, sides, config, session_ids, beside, **self._how())
        return self._ended(night, run, hold)

    def _chosen(self, watermark: datetime | None, dropped: Night | None) -> tuple[datetime, tuple[str, ...]]:
        """Where the window begins, and the sessions to replay."""
        from shadowdiff import diagnostics
        from shadowdiff.nightly.selection import chosen, window_of

        window = window_of(self.settings, watermark, self.now, self.since)
        since = window.since or self.now
        if dropped is not None:
            since = min(since, dropped.since)
        window = replace(window, since=since)
        replayed = partial(self.store.replayed, self.settings.name, since=since)
        found = chosen(self.invocation.source, window, self.settings, watermark, replayed)
        if found.still_open:
            diagnostics.note(f"left to the next night, as they may go on: {found.still_open:,} sessions")
        return since, found.session_ids

    def _refuse_the_past(self, last: Night | None) -> None:
        """Sessions of a missed night are replayed by the next one; a call from before that has nothing to do."""
        if last is not None and self.now < last.until and self.since is None:
            raise ConfigError(
                f"--as-of is before {last.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC, until when night {last.name} has "
                "replayed what came in; with --since it replays what that left"
            )

    def _ended(self, night: Night, run: Run | None, hold: Hold) -> Night:
        """Judge the run, record the night as done with where its report is to go, and say what is wrong."""
        from shadowdiff.nightly.targets import targets

        gates = self._judged(run) if run is not None else ()
        hold.keep()
        self.store.finish(night, gates, targets(self.settings))
        night = replace(night, status=NightStatus.DONE, gates=gates, run_id=run.run_id if run else None)
        if run is not None:
            self._tell(night, run)
        return night

    def _judged(self, run: Run) -> tuple[GateOutcome, ...]:
        from shadowdiff.gates.judge import outcomes

        return outcomes(self.rules, run, self.invocation.settings.gate.strict)

    def _tell(self, night: Night, run: Run) -> None:
        """A line per problem: too many failures, the cap, and each rule that does not hold."""
        from shadowdiff.cli.carrying import refuse_cap, refuse_too_many_failures
        from shadowdiff.render.tonight import crossed_line

        try:
            refuse_too_many_failures(run, self.settings.max_failures)
        except TooManyFailuresError as error:
            self.problems.tell(error.exit_code, f"night {night.name}: {error}")
        try:
            refuse_cap(run, self.settings.max_usd, self.invocation)
        except SpendingCapError as error:
            self.problems.tell(error.exit_code, f"night {night.name}: {error}")
        for outcome in night.gates:
            if not outcome.passed:
                self.problems.tell(ExitCode.GATE_CROSSED, crossed_line(night, outcome))

    @cached_property
    def courier(self) -> Courier:
        """What delivers reports, tonight's and those that did not arrive before."""
        from shadowdiff.nightly.deliveries import Courier

        return Courier(self.settings, self.store, self.report_of)

    def report_of(self, night: Night) -> NightReport:
        """What is told of a night, read from the store."""
        from shadowdiff.nightly.report import NightReport
        from shadowdiff.nightly.surroundings import surroundings_of
        from shadowdiff.nights import Surroundings

        store = self.invocation.store
        if night.run_id is None:
            return NightReport(night, None, Surroundings(night.gates), lambda _: iter(()))
        run = store.get(night.run_id)
        return NightReport(night, run, surroundings_of(night, run, store), partial(self._outcomes, run))

    def _outcomes(self, run: Run, by_contrast: bool) -> Iterator[SessionOutcome]:
        from shadowdiff.cli.output import OutputOptions, chosen_outcomes, with_texts

        options = OutputOptions(only_changed=by_contrast, sort="contrast" if by_contrast else "time")
        yield from with_texts(run, self.invocation, chosen_outcomes(run, self.invocation.store, options))

    def _sides(self) -> SideOptions:
        from shadowdiff.cli.carrying import SideOptions

        settings, nightly = self.invocation.settings, self.settings
        baseline, others = sides_of(settings)
        return SideOptions(baseline, others, nightly.min_scores, configured_production=settings.production)

    def _config(self, night: Night) -> RunConfig:
        nightly = self.settings
        return RunConfig(
            top_k=nightly.top_k,
            pool=nightly.pool,
            pool_from=PoolOrigin(nightly.pool_from),
            noise=nightly.noise,
            window=Window(since=night.since, until=night.until, org_ids=nightly.orgs, sample=nightly.sample),
            store_text=self.invocation.settings.privacy.store_text,
        )

    def _how(self) -> dict[str, Any]:
        return {"no_cache": False, "latency_turns": self.settings.latency, "max_usd": self.settings.max_usd}


def sides_of(settings: Settings) -> tuple[str, tuple[str, ...]]:
    """The sides of a night: [nightly]'s, else [replay]'s. Raises ConfigError where neither names them."""
    baseline = settings.nightly.baseline or settings.baseline
    others = settings.nightly.others or settings.others
    if baseline is None or not others:
        raise ConfigError(
            'nightly has no sides; name them in shadowdiff.toml: [nightly] baseline = "served", others = ["v3"], '
            "or in [replay]"
        )
    return baseline, others
