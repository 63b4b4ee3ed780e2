"""What `shadowdiff init` says of a proposal: as lines for a person, and as a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shadowdiff.config import SOURCE_PARTS
from shadowdiff.config_template import Filled
from shadowdiff.database import parse_url, without_password
from shadowdiff.render.samples import sample_lines
from shadowdiff.render.text import one_line, wrap
from shadowdiff.sources.catalogue import Catalogue
from shadowdiff.sources.mapping import preset_description, preset_names
from shadowdiff.sources.proposal import Proposal
from shadowdiff.sources.trial import Trial

OVERRIDE = "without asking; --turns, --sessions, --pool, --served, --entries, --org, --preset say otherwise"
LABELS = (*SOURCE_PARTS, "org")
LINES_EACH = 6


@dataclass(frozen=True, slots=True)
class Found:
    """A proposal, and what came of trying it."""

    proposal: Proposal
    trial: Trial
    left_out: tuple[str, ...] = ()
    """Lists that were proposed and could not be read, with the reason."""
    production: str | None = None
    was_asked: bool = False

    @property
    def works(self) -> bool:
        """Whether sessions can be read."""
        broken = {"sessions", "turns"} & set(self.trial.broken)
        return self.proposal.is_usable and not broken and self.trial.problem is None


def report(found: Found, catalogue: Catalogue, width: int) -> Iterator[str]:
    """What was found, what is missing, and three sessions read that way."""
    cut = ", the likelier of more" if catalogue.is_cut else ""
    closed = sum(not relation.is_readable for relation in catalogue.relations)
    hidden = f"; {closed:,} of them {one_line(catalogue.role)} may not read" if closed else ""
    yield from _wrapped(
        f"{one_line(catalogue.database)}: {len(catalogue.relations):,} tables and views{cut}{hidden}", width
    )
    yield ""
    yield from ["mapping"] if found.was_asked else _wrapped(f"mapping, {OVERRIDE}", width)
    for part in LABELS:
        yield from _wrapped(f"  {part:<9} {_told(found, part)}", width)
    if found.proposal.timezone:
        yield f"  {'timezone':<9} {one_line(found.proposal.timezone)}, for times that are stored without a zone"
    yield from _noteworthy(found, width)
    yield ""
    yield from _samples(found, width)


def _told(found: Found, part: str) -> str:
    draft = found.proposal.parts.get(part)
    told = one_line(draft.told) if draft else one_line(found.proposal.chosen.get(part, "–"))
    return f"{told}: FAILS: {one_line(found.trial.broken[part])}" if part in found.trial.broken else told


def _noteworthy(found: Found, width: int) -> Iterator[str]:
    """What is missing, was left out, or costs time."""
    notes = [note for draft in found.proposal.parts.values() for note in draft.notes]
    lines = [*found.proposal.missing, *(f"left out: {text}" for text in found.left_out), *notes]
    if lines:
        yield ""
        yield "to know"
    for line in lines:
        yield from _wrapped(f"  - {one_line(line)}", width)


def _samples(found: Found, width: int) -> Iterator[str]:
    trial = found.trial
    if trial.problem is not None:
        yield from _wrapped(f"no session could be read: {one_line(trial.problem)}", width)
    elif trial.sessions:
        yield "the newest sessions, read this way"
        yield from (f"  {line}" for line in sample_lines(trial.sessions, trial.entries, width - 2))
        if trial.looked_up and not trial.entries and "entries" not in trial.broken:
            yield from _wrapped(
                f"  none of the {trial.looked_up} entries in these lists is in entries: are table, id and org right?",
                width,
            )
    elif found.works:
        yield "no session is stored yet"
    else:
        yield "sessions and turns have to be mapped before anything can be read"


def _wrapped(text: str, width: int) -> list[str]:
    first, *rest = wrap(text, width, 1_000)
    return [first, *(line for part in rest for line in wrap(f"    {part}", width, LINES_EACH))]


def known_presets() -> dict[str, str]:
    """The presets that there are, with what they are for."""
    return {name: preset_description(name) for name in preset_names()}


def filled(found: Found, database: str) -> Filled:
    """The proposal as a configuration; what does not work is switched off in it."""
    proposal, url = found.proposal, parse_url(database)
    bare = without_password(url)
    return Filled(
        url=bare.render_as_string(hide_password=False),
        lacks_password=bare != url.set(drivername="postgresql"),
        presets=known_presets(),
        source=proposal.settings(),
        notes=_notes(proposal),
        broken=found.trial.broken,
        findings=(*proposal.missing, *found.left_out),
        baseline=proposal.baseline if proposal.is_usable else None,
        others=_others(proposal),
        production=found.production,
    )


def _notes(proposal: Proposal) -> dict[str, tuple[str, ...]]:
    notes = {part: draft.notes for part, draft in proposal.parts.items()}
    inside = [part for part in ("pool", "served") if part in proposal.has and part not in proposal.parts]
    if "turns" in proposal.parts:
        notes |= {part: (f"Here it comes with turns: {proposal.chosen[part]}",) for part in inside}
    return notes


def _others(proposal: Proposal) -> tuple[str, ...]:
    """What can be compared at once, without a model; nothing where that is the baseline itself."""
    if not proposal.is_usable or proposal.baseline == "bm25":
        return ()
    return ("cosine",) if "embeddings" in proposal.has and proposal.baseline != "cosine" else ("bm25",)


def next_steps(found: Found) -> str:
    """What to run now."""
    if not found.works:
        return "next: map what is missing in [source], then\n  shadowdiff doctor"
    pool = f" --pool-from {found.proposal.pool_from}" if found.proposal.pool_from else ""
    lines = ["next", "  shadowdiff doctor", f"  shadowdiff replay --last 10{pool}"]
    if not _others(found.proposal):
        lines[-1] += " -B onnx:path/to/a/model"
        lines.append("  (without -B, or `others` in [replay], bm25 is compared with itself)")
    return "\n".join(lines)
