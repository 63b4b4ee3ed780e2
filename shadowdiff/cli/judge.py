"""`shadowdiff judge`: which of two sides' lists is better, by a judge that does not know whose they are."""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from shadowdiff.cli.author import author_option, user_name
from shadowdiff.cli.finite import FiniteRange
from shadowdiff.cli.invocation import Invocation
from shadowdiff.cli.output import colored, kind_option, opened, place_options, require_writable, with_texts, write_lines
from shadowdiff.cli.when import When
from shadowdiff.errors import ConfigError, ShadowdiffError, SpendingCapError, StoreError, TooManyFailuresError
from shadowdiff.runs import RunStatus
from shadowdiff.terminal_screen import Terminated, end_as, require_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shadowdiff.judging.hearing import Hearing
    from shadowdiff.judging.protocol import Judge
    from shadowdiff.judging.results import Judgement
    from shadowdiff.render.lines import Line
    from shadowdiff.runs import Price, Run, Side

EPILOG = """\b
Examples:
  shadowdiff judge latest --judge bedrock:us.anthropic.claude-sonnet-4-5-20250929-v1:0 --dry-run
  shadowdiff judge latest --queries 100 --since 7d --stratify org --max-usd 5
  shadowdiff judge 20261120-0214 --side C --top-k 5 --format markdown -o judgement.md
  shadowdiff judge latest --judge human --queries 20
  shadowdiff judge latest --exchange hv-7f3a:1

\b
[judge] spec in shadowdiff.toml names the judge; [prices] what it charges, under its spec. The same command
again asks only what has no verdict yet. Exit 1 where --max-usd stopped it, 4 where the judge gave no answer that can
be used, or answers no more."""
WAITING = "waiting for the answers that are under way; Ctrl-C again gives them up"
WHICH = (
    click.option(
        "--side",
        "sides",
        multiple=True,
        metavar="LABEL",
        help="Hold this side against the baseline; repeatable (default: every other side).",
    ),
    click.option(
        "--queries", type=click.IntRange(min=1), default=100, show_default=True, metavar="N", help="Draw N turns."
    ),
    click.option("--since", type=When(), metavar="24h|DATE", help="Only turns asked since then."),
    click.option("--stratify", type=click.Choice(["org"]), help="Each org gives its share of the turns."),
    click.option("--seed", type=int, default=0, show_default=True, metavar="S", help="Draw other turns, other coins."),
    click.option(
        "--top-k", type=click.IntRange(min=1), metavar="K", help="Entries of a list; default: the run's top K."
    ),
    click.option(
        "--max-chars",
        type=click.IntRange(min=100),
        default=2_000,
        show_default=True,
        metavar="N",
        help="Characters of an entry that are shown.",
    ),
)
HOW = (
    click.option("--judge", "spec", metavar="SPEC", help="Who judges: bedrock:MODEL, human, or a plug-in's."),
    author_option("judges as `human`"),
    click.option(
        "--max-usd",
        type=FiniteRange(min=0),
        metavar="X",
        help="Stop, with all verdicts kept, before this command costs more.",
    ),
    click.option("--dry-run", is_flag=True, help="Say what would be asked and cost; ask nothing."),
    click.option(
        "--exchange",
        "turn_id",
        metavar="TURN",
        help="Show word for word what is asked about this turn, and what was answered; ask nothing.",
    ),
    click.option("--retry-abstained", is_flag=True, help="Ask again where an answer could not be used."),
    click.option(
        "--count-flagged",
        is_flag=True,
        help="Count turns on which text that reads like an instruction stands in one list only.",
    ),
    click.option(
        "--examples",
        type=click.IntRange(min=0),
        default=3,
        show_default=True,
        metavar="N",
        help="Show N wins and N losses with the judge's reason.",
    ),
)


def _options(function: Any) -> Any:
    for option in reversed((*WHICH, *HOW)):
        function = option(function)
    return function


@click.command("judge", epilog=EPILOG)
@click.argument("run", metavar="[RUN]", default="latest")
@_options
@kind_option("terminal", "markdown", "json")
@place_options
@click.pass_obj
def command(invocation: Invocation, /, run: str, **options: Any) -> None:
    """Let a judge say which side's list is better, without knowing the sides.

    RUN is a run's id, the beginning of one, or `latest`. The judge sees the conversation so far, the query and the
    entries of both lists under neutral names, in both orders: what it does not say in both is no win. Identical lists
    are ties that nobody is asked about. Each verdict is stored with all that it takes to check it. `human` asks you in
    this terminal, in one order, a key per comparison.
    """
    hearing = _hearing(invocation, run, options)
    _tell_left_out(hearing)
    hearing.look_up()
    if options["turn_id"]:
        _write_exchanges(hearing, options)
        return
    if options["dry_run"]:
        _write_forecast(hearing, options)
        return
    require_writable(options["output"])
    problem = _ask(hearing, options["max_usd"])
    _write(hearing, options)
    if problem or (problem := _unusable(hearing)):
        raise problem


def _hearing(invocation: Invocation, name: str, options: dict[str, Any]) -> Hearing:
    """What the options ask for. Raises ConfigError, SpecError."""
    from shadowdiff.judging.drawing import Wanted
    from shadowdiff.judging.hearing import Hearing
    from shadowdiff.judging.questions import Showing
    from shadowdiff.privacy import NO_REDACTION, redactor
    from shadowdiff.replay.results import outcomes
    from shadowdiff.rerankers.network import network_of
    from shadowdiff.store.prune import require_sessions

    judge, price = _judge(invocation, options)
    run, store = invocation.store.get(name), invocation.store
    require_sessions(run, store)
    network = network_of(judge)
    sends = network is not None and network.sends_texts
    return Hearing(
        run=run,
        others=_sides(run, options["sides"]),
        judge=judge,
        store=store,
        outcomes=lambda session_ids: with_texts(run, invocation, outcomes(run, store, session_ids)),
        wanted=Wanted(
            options["queries"], options["since"], options["stratify"] == "org", options["seed"], options["turn_id"]
        ),
        showing=Showing(
            options["top_k"] or run.config.top_k,
            options["max_chars"],
            options["seed"],
            redactor(invocation.settings.privacy) if sends else NO_REDACTION,
        ),
        price=price,
        again=options["retry_abstained"],
    )


def _judge(invocation: Invocation, options: dict[str, Any]) -> tuple[Judge, Price | None]:
    """Who judges, and what that costs. Raises ConfigError, SpecError."""
    from shadowdiff.judging.judges import build
    from shadowdiff.judging.protocol import JudgeContext
    from shadowdiff.rerankers.spec import parse

    settings = invocation.settings
    text = settings.judge if options["spec"] is None else options["spec"]
    if not text:
        raise ConfigError(
            "no judge is named: say --judge bedrock:MODEL or --judge human, or set spec in [judge] of shadowdiff.toml"
        )
    spec = parse(text)
    color = colored(options["color"], sys.stderr)
    context = JudgeContext(settings.providers, lambda: options["author"] or user_name(), color)
    asks_nothing = options["dry_run"] or options["turn_id"]
    judge = build(spec, context, offline=settings.privacy.offline and not asks_nothing)
    if judge.is_person and not asks_nothing:
        require_terminal(f"judge --judge {spec}", "--judge bedrock:MODEL, or --dry-run", writes_results=True)
        invocation.is_patient = False
    price = next((settings.prices[name] for name in (text, *spec.priced_as) if name in settings.prices), None)
    if options["max_usd"] is not None and price is None and judge.network is not None:
        raise ConfigError(
            f'--max-usd needs a price, and {str(spec)!r} has none; add [prices."{spec.bare}"] to shadowdiff.toml'
        )
    return judge, price


def _sides(run: Run, labels: Sequence[str]) -> tuple[Side, ...]:
    """Those named, or all that are compared with the baseline. Raises ConfigError."""
    wanted = [label.upper() for label in labels]
    known = {side.label: side for side in run.others}
    unknown = [label for label in wanted if label not in known]
    if unknown or not known:
        listed = ", ".join(known) or "none"
        raise ConfigError(f"run {run.run_id} has no side {', '.join(unknown)} beside the baseline; it has {listed}")
    return tuple(side for label, side in known.items() if not wanted or label in wanted)


def _tell_left_out(hearing: Hearing) -> None:
    """What of the run is not judged."""
    from shadowdiff import diagnostics

    run, drawn = hearing.run, hearing.drawn
    if run.status is not RunStatus.DONE:
        diagnostics.warning(f"run {run.run_id} is not finished: what is stored of it is judged")
    if drawn.unfinished:
        diagnostics.warning(f"left out: {drawn.unfinished:,} turns that a side did not rank")
    if hearing.beside.textless:
        diagnostics.warning(f"left out: {hearing.beside.textless:,} turns whose texts are not what was ranked any more")
    if hearing.asks.comparisons:
        return
    if hearing.wanted.turn_id is not None:
        raise ConfigError(f"run {run.run_id} has no turn {hearing.wanted.turn_id!r} that all of these sides ranked")
    raise ConfigError(
        f"run {run.run_id} has no turn to judge: {drawn.earlier:,} were asked before --since, and a side failed on "
        f"{drawn.unfinished:,}"
    )


def _ask(hearing: Hearing, max_usd: float | None) -> ShadowdiffError | None:
    """Ask what has no verdict yet; why less was asked, to be raised once what there is was written.

    Raises KeyboardInterrupt where somebody stopped it.
    """
    from shadowdiff import diagnostics
    from shadowdiff.judging.protocol import Ahead

    whole, stored = len(hearing.asks.questions), len(hearing.found.verdicts)
    if whole == stored:
        return None
    try:
        hearing.judge.prepare(Ahead(whole, stored, keeps_texts=hearing.run.config.store_text))
        if not hearing.judge.is_person:
            return _ask_machine(hearing, max_usd)
        _ask_person(hearing)
    finally:
        hearing.judge.close()
    _tell_rest(hearing, diagnostics.note)
    return None


def _ask_machine(hearing: Hearing, max_usd: float | None) -> ShadowdiffError | None:
    from shadowdiff import diagnostics
    from shadowdiff.cli.ending import Ending

    with (
        hearing.alone(),
        Ending(partial(diagnostics.note, WAITING)) as ending,
        diagnostics.counted_progress("judging") as on_answered,
    ):
        hearing.look_up()  # again: another command may have gone on with it until now
        exhausted = hearing.carry_out(max_usd, on_answered, ending.is_asked)
    problem = None if ending.is_asked() else _problem(hearing, max_usd if exhausted else None)
    if problem is None:  # else that says so
        _tell_rest(hearing, diagnostics.warning)
    if ending.is_asked():
        raise KeyboardInterrupt
    return problem


def _ask_person(hearing: Hearing) -> None:
    """Until all is said or they stop. However it ends, the screen is left before anything else is written."""
    from shadowdiff import diagnostics

    try:
        hearing.carry_out(None, lambda done, whole: None, lambda: False)
    except (KeyboardInterrupt, EOFError, StoreError):
        _tell_rest(hearing, diagnostics.note)
        raise
    except Terminated as ended:
        end_as(ended.number)


def _tell_rest(hearing: Hearing, tell: Callable[[str], None]) -> None:
    """What is still to be asked, if anything is."""
    whole, stored = len(hearing.asks.questions), len(hearing.found.verdicts)
    if stored < whole:
        tell(f"{stored:,} of {whole:,} verdicts are stored; the same command asks for the rest")


def _write_exchanges(hearing: Hearing, options: dict[str, Any]) -> None:
    from shadowdiff.render.exchange import exchange_lines

    _refuse_formats("exchange", options, ("terminal",))
    _write_lines(lambda width: exchange_lines(hearing.exchanges(), width), options)


def _write_forecast(hearing: Hearing, options: dict[str, Any]) -> None:
    from shadowdiff.render.judge_forecast import judge_forecast_json, judge_forecast_lines

    _refuse_formats("dry-run", options, ("terminal", "json"))
    found, cap = hearing.forecast(), options["max_usd"]
    if options["kind"] == "json":
        _write_text(judge_forecast_json(found, cap), options)
    else:
        _write_lines(lambda width: judge_forecast_lines(found, width, cap), options)


def _write(hearing: Hearing, options: dict[str, Any]) -> None:
    from shadowdiff.render.judgement import judgement_lines
    from shadowdiff.render.judgement_documents import judgement_json, judgement_markdown

    judgement, run = _judgement(hearing, options), hearing.run
    if options["kind"] == "json":
        _write_text(judgement_json(judgement, run), options)
    elif options["kind"] == "markdown":
        _write_text(judgement_markdown(judgement, run, options["examples"]), options)
    else:
        _write_lines(lambda width: judgement_lines(judgement, run, width, options["examples"]), options)


def _refuse_formats(option: str, options: dict[str, Any], known: tuple[str, ...]) -> None:
    if options["kind"] not in known:
        raise ConfigError(f"--{option} has no format {options['kind']!r}; use one of {', '.join(known)}")


def _write_text(text: str, options: dict[str, Any]) -> None:
    with opened(options["output"]) as out:
        out.write(text)


def _write_lines(lines: Callable[[int], Iterator[Line]], options: dict[str, Any]) -> None:
    with opened(options["output"]) as out:
        write_lines(out, lines, options["width"], options["color"])


def _judgement(hearing: Hearing, options: dict[str, Any]) -> Judgement:
    from shadowdiff.judging.results import JudgedBy, Judgement, Spent
    from shadowdiff.judging.tally import tally

    judge, price, found = hearing.judge, hearing.price, hearing.found
    whole = hearing.usage()
    since = hearing.wanted.since
    by = JudgedBy(
        judge=str(judge.spec),
        model=judge.model,
        seed=hearing.wanted.seed,
        top_k=hearing.showing.top_k,
        both_orders=judge.both_orders,
        queries=hearing.wanted.queries,
        stratified_by=options["stratify"] or "",
        since="" if since is None else since.isoformat(timespec="minutes"),
    )
    spent = Spent(
        asked=found.calls,
        reused=found.reused,
        now=found.asked,
        whole=whole,
        usd_now=price.usd(found.asked) if price else None,
        usd_whole=price.usd(whole) if price else None,
    )
    flagged = options["count_flagged"]
    reports = {
        label: tally(turns, both_orders=judge.both_orders, count_flagged=flagged)
        for label, turns in hearing.judged().items()
    }
    return Judgement(by, spent, reports, hearing.prompt_hashes())


def _problem(hearing: Hearing, cap: float | None) -> ShadowdiffError | None:
    """Why less was judged than was asked for: the cap, or a judge that answered nothing, or nothing any more."""
    found, whole = hearing.found, len(hearing.asks.questions)
    stored = f"{len(found.verdicts):,} of {whole:,} verdicts are stored; the same command"
    if cap is not None:
        told = f"stopped before the judge cost more than --max-usd {cap:g}; {stored} goes on, for as much again"
        return SpendingCapError(told)
    if not found.failures:
        return None
    reason = next(iter(found.failures.values()))
    if not found.verdicts:
        return TooManyFailuresError(f"the judge answered none of {whole:,} questions: {reason}")
    if stopped := hearing.judge.stopped:
        return TooManyFailuresError(f"the judge answers no more: {stopped}; {stored} asks for the rest")
    return None


def _unusable(hearing: Hearing) -> ShadowdiffError | None:
    """That a machine answered and decided nothing: CI must not take that for success."""
    kinds = Counter(verdict.opinion.abstention for verdict in hearing.found.verdicts.values())
    if hearing.judge.is_person or not kinds or kinds[None]:
        return None
    each = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    turn = next(iter(hearing.found.verdicts.values())).turn_id
    return TooManyFailuresError(
        f"no answer of the judge can be used ({each}); see one: shadowdiff judge {hearing.run.run_id} --exchange {turn}"
    )
