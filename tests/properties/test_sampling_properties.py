"""What a drawn sample is, whatever it is drawn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from hypothesis import given
from hypothesis import strategies as st

from shadowdiff.sampling import draw, drawing, shares, shuffled

KEYED = st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from("abcd")), max_size=60, unique_by=lambda pair: pair[0])


@given(KEYED, st.integers(0, 70), st.integers(0, 3), st.booleans())
def test_larger_samples_hold_smaller_ones(
    keyed: list[tuple[int, str]], number: int, seed: int, stratified: bool
) -> None:
    """As many as were asked for, each once, in order; and all of them are in a sample of one more."""
    keys, strata = [str(key) for key, _ in keyed], [stratum for _, stratum in keyed] if stratified else None
    drawn = draw(keys, number, seed=seed, strata=strata)
    assert drawn == sorted(set(drawn))
    assert len(drawn) == min(number, len(keys))
    assert set(drawn) <= set(draw(keys, number + 1, seed=seed, strata=strata))


@given(KEYED, st.integers(0, 70), st.booleans())
def test_a_drawing_begins_with_every_sample(keyed: list[tuple[int, str]], number: int, stratified: bool) -> None:
    """Its first so many are the sample of so many, of which each stratum has its share; all are drawn in the end."""
    keys = [str(key) for key, _ in keyed]
    strata = [stratum for _, stratum in keyed]
    order = list(drawing(keys, strata=strata if stratified else None))
    assert sorted(order) == list(range(len(keys)))
    first = order[:number]
    assert sorted(first) == draw(keys, number, strata=strata if stratified else None)
    if stratified:
        sizes: dict[Hashable, int] = dict(Counter(strata))
        held = Counter(strata[at] for at in first)
        assert sorted(held.values()) == sorted(size for size in shares(sizes, number).values() if size)


@given(KEYED, st.integers(0, 70))
def test_order_decides_nothing(keyed: list[tuple[int, str]], number: int) -> None:
    """The same keys are drawn wherever they stand."""
    keys = [str(key) for key, _ in keyed]
    other = list(reversed(keys))
    assert {keys[place] for place in draw(keys, number)} == {other[place] for place in draw(other, number)}


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 500)), st.integers(0, 2_000))
def test_shares_are_proportional(sizes: dict[Hashable, int], number: int) -> None:
    """All that can be given is given, no stratum gives more than it has, and each stays near its share."""
    given_shares = shares(sizes, number)
    whole = sum(sizes.values())
    assert sum(given_shares.values()) == min(number, whole)
    assert all(given_shares[name] <= size for name, size in sizes.items())
    assert all(abs(given_shares[name] - min(number, whole) * size / max(whole, 1)) <= 3 for name, size in sizes.items())


@given(st.lists(st.text(max_size=5), max_size=20), st.text(max_size=3))
def test_shuffling_keeps_everything(keys: list[str], salt: str) -> None:
    """An order of all places, the same each time."""
    assert Counter(shuffled(keys, salt)) == Counter(range(len(keys)))
    assert shuffled(keys, salt) == shuffled(keys, salt)
