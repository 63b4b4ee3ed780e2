"""Comparisons and what a judge said of them, in few words."""

from __future__ import annotations

from shadowdiff.judging.comparisons import Comparison, Flagged, JudgedTurn
from shadowdiff.verdicts import Abstention, Choice, Opinion

A, B, TIE = "a", "b", "tie"
FIRST, SECOND = "first", "second"
"""Whichever list stands there."""
SAME = "same"
Said = str | Opinion | None
"""One of the above; or an opinion as it is; None where the judge was not asked. SAME: as in the other order."""


def opinion(choice: Choice, reason: str = "") -> Opinion:
    """That can be used."""
    return Opinion(choice, reason, "all of it is on the point", "half of it is", raw="{}")


def abstained(why: Abstention = Abstention.MALFORMED) -> Opinion:
    """That cannot."""
    return Opinion(Choice.ABSTAINED, f"the answer is {why.value}", abstention=why)


def compared(
    at: int,
    *,
    only: int = 2,
    session: str | None = None,
    org: str = "acme",
    is_identical: bool = False,
    characters: tuple[int, int] = (900, 900),
    a_first: bool = True,
    cut: int = 0,
    flagged: tuple[Flagged, ...] = (),
    query: str = "How does your data security work?",
) -> Comparison:
    """Two lists of ten entries, of which so many stand in one only; each turn a session of its own, if none is said."""
    return Comparison(
        org_id=org,
        session_id=session or f"s-{at:03}",
        turn_id=f"t-{at:03}",
        query=query,
        other="B",
        in_both=10 - only,
        only_in_a=only,
        only_in_b=only,
        overlap=(10 - only) / 10,
        is_identical=is_identical,
        characters=characters,
        cut=cut,
        flagged=flagged,
        a_first=a_first,
    )


def said(
    comparison: Comparison,
    a_first: Said = None,
    b_first: Said = SAME,
    *,
    failure: str = "",
    gain: float | None = None,
    reason: str = "",
) -> JudgedTurn:
    """What the judge says where the baseline's list is shown first, and second; the same in both where one is said."""
    other = a_first if b_first == SAME else b_first
    return JudgedTurn(
        comparison, _opinion(a_first, (A, B), reason), _opinion(other, (B, A), reason), failure=failure, gain=gain
    )


def _opinion(what: Said, shown: tuple[str, str], reason: str) -> Opinion | None:
    if what is None or isinstance(what, Opinion):
        return what
    choices: dict[str, Choice] = {FIRST: Choice.FIRST, SECOND: Choice.SECOND, TIE: Choice.TIE}
    choices |= {shown[0]: Choice.FIRST, shown[1]: Choice.SECOND}
    return opinion(choices[what], reason)
