"""Which side is production's own reranker: what was said, and what is assumed where nothing was."""

from __future__ import annotations

import pytest

from shadowdiff.errors import ConfigError, SpecError
from shadowdiff.replay.sides import Contender, build_sides, with_production
from shadowdiff.runs import RunConfig

NAMES = {"fused": "rrf:cosine+bm25,k=10", "lexical": "bm25"}


def contenders(*specs: str) -> tuple[Contender, ...]:
    """The sides of a run."""
    return build_sides(specs[0], specs[1:], NAMES, {})


def production(*specs: str, asked: str | None = None, configured: str | None = None) -> tuple[str | None, bool]:
    """The label of production's side, and whether it is only assumed."""
    config = with_production(RunConfig(), contenders(*specs), NAMES, asked=asked, configured=configured)
    return config.production, config.production_assumed


def test_the_baseline_is_assumed_where_nothing_is_said() -> None:
    """A is the baseline because it is what production runs."""
    assert production("cosine", "fused") == ("A", True)


def test_a_side_that_lists_what_was_served_is_never_assumed() -> None:
    """What was recorded reproduces itself: that would say nothing of the replay."""
    assert production("served", "cosine") == (None, False)


@pytest.mark.parametrize(
    "asked", ["B", "b", " B ", "fused", "rrf:cosine+bm25,k=10", "rrf:cosine+bm25, k=10", "rrf:cosine+bm25,k=%310"]
)
def test_the_command_line_names_a_side_by_label_name_or_spec(asked: str) -> None:
    """Specs are compared in their canonical form."""
    assert production("served", "fused", "bm25", asked=asked, configured="bm25") == ("B", False)


def test_a_short_name_is_its_spec() -> None:
    """Whichever of the two the side was given by, and the setting."""
    assert production("cosine", "bm25", configured="lexical") == ("B", False)
    assert production("cosine", "lexical", configured="bm25") == ("B", False)


def test_a_listing_side_may_be_named() -> None:
    """Rankings that production wrote to a file are a side as any other, for who says so."""
    assert production("served", "bm25", asked="A") == ("A", False)


@pytest.mark.parametrize("asked", ["C", "onnx:models/x", "v9!", ""])
def test_a_side_that_is_not_there_is_refused(asked: str) -> None:
    """On the command line it is a mistake, and the message says which sides there are."""
    message = rf"^--production '{asked}' is no side of this run; use one of A cosine, B fused, or 'none'$"
    with pytest.raises(ConfigError, match=message):
        production("cosine", "fused", asked=asked)


def test_a_configured_side_may_be_missing() -> None:
    """Another run compares other rerankers: then no side is production's, the baseline neither."""
    assert production("cosine", "bm25", configured="fused") == (None, False)


def test_none_switches_it_off() -> None:
    """In the file, or on the command line whatever the file says."""
    assert production("cosine", "bm25", configured="none") == (None, False)
    assert production("cosine", "bm25", configured="cosine", asked="none") == (None, False)


def test_a_configured_side_that_is_neither_name_nor_spec_is_refused() -> None:
    """A slip of the pen must not switch the comparison off without a word."""
    with pytest.raises(SpecError, match="is no scheme"):
        production("cosine", "bm25", configured="Fused")
