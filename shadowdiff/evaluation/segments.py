"""The same difference over parts of the turns: a mean can hide an org, or a kind of question, that gets worse."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from shadowdiff.evaluation.differences import Grouping
from shadowdiff.evaluation.languages import TAGS, languages, tag_values
from shadowdiff.evaluation.results import Segment
from shadowdiff.evaluation.turns import LabelledTurn
from shadowdiff.runs import Estimate

LEAST_SESSIONS = 10
"""In a segment with an interval: fewer sessions do not say how sessions vary."""
MOST_VALUES = 20
"""Different values of a tag; one with more is no segment but a name."""
LENGTHS = ((20, "up to 20 characters"), (60, "21 to 60 characters"), (120, "61 to 120 characters"))
LONGEST = "over 120 characters"


def segments(
    turns: Sequence[LabelledTurn], values: Mapping[str, Sequence[float]], whole: Mapping[str, Estimate]
) -> tuple[tuple[Segment, ...], tuple[str, ...]]:
    """Segments, and dimensions with too many values. `values`: one number per turn by label, the baseline first.

    Those in which a side is worse, though its difference on the `whole` (by label)
    does not show it, stand first; then by dimension, most turns first. A dimension with
    one value says nothing that the whole does not.
    """
    by_dimension: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    spoken = languages(turn.session for turn in turns)
    for at, turn in enumerate(turns):
        for dimension, value in _places(turn, spoken.get(turn.session.session_id, ())):
            by_dimension[dimension][value].append(at)
    skipped = tuple(name for name, found in by_dimension.items() if len(found) > MOST_VALUES)
    parts = [
        _marked(_segment(dimension, value, [turns[at] for at in places], _taken(values, places)), whole)
        for dimension, found in by_dimension.items()
        if 1 < len(found) <= MOST_VALUES
        for value, places in sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    return tuple(sorted(parts, key=lambda part: not part.worse)), skipped


def _places(turn: LabelledTurn, spoken: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Dimension and value of every segment that the turn is in; `spoken`: languages of its session."""
    yield "org", turn.session.org_id
    yield "turn", "first" if turn.position == 1 else "follow-up"
    yield "query length", next((name for most, name in LENGTHS if len(turn.query) <= most), LONGEST)
    yield from (("language", name) for name in spoken)
    for tag, value in turn.session.tags.items():
        yield from ((f"tag {tag}", item) for item in tag_values(value) if tag not in TAGS)


def _taken(values: Mapping[str, Sequence[float]], places: Sequence[int]) -> dict[str, list[float]]:
    return {label: [row[at] for at in places] for label, row in values.items()}


def _segment(
    dimension: str, value: str, turns: Sequence[LabelledTurn], values: Mapping[str, Sequence[float]]
) -> Segment:
    grouping = Grouping(turn.session.session_id for turn in turns)
    baseline, *others = values.values()
    rows = [[b - a for a, b in zip(baseline, other, strict=True)] for other in others]
    differences = dict(zip(list(values)[1:], grouping.estimates(rows), strict=True))
    if grouping.sessions < LEAST_SESSIONS:
        differences = {label: Estimate(found.value) for label, found in differences.items()}
    return Segment(dimension, value, len(turns), grouping.sessions, sum(baseline) / len(baseline), differences)


def _marked(segment: Segment, whole: Mapping[str, Estimate]) -> Segment:
    """With the sides that are worse here, which the whole hides: it is better, or says nothing."""
    worse = tuple(
        label
        for label, found in segment.differences.items()
        if _is_shown_worse(found) and not _is_shown_worse(whole[label])
    )
    return replace(segment, worse=worse)


def _is_shown_worse(found: Estimate) -> bool:
    return found.high is not None and found.high < 0
