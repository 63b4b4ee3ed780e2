"""Which of many turns to label or to judge: drawn by a seed, spread over orgs, and the same ones whenever it is asked.

A larger sample of the same seed holds every smaller one, so that what was
labelled or paid for still counts when the number is raised.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice


def draw(keys: Sequence[str], number: int, *, seed: int = 0, strata: Sequence[Hashable] | None = None) -> list[int]:
    """Places of `number` of the keys, in their own order; all of them where there are no more.

    See `drawing` for which ones. Raises ValueError on a negative number, or strata of another length.
    """
    if number < 0:
        raise ValueError(f"{number} of {len(keys)} keys cannot be drawn")
    return sorted(islice(drawing(keys, seed=seed, strata=strata), number))


def drawing(keys: Sequence[str], *, seed: int = 0, strata: Sequence[Hashable] | None = None) -> Iterator[int]:
    """Places of the keys in the order in which a growing sample takes them.

    The order of drawing is that of the hashes of seed and key: it hangs on no
    other key, nor on where a key stands. With `strata`, one per key, each stratum gives
    its share of every sample (`shares`).

    Raises ValueError on strata of another length.
    """
    if strata is not None and len(strata) != len(keys):
        raise ValueError(f"{len(keys)} keys cannot be drawn from {len(strata)} strata")
    waiting: dict[Hashable, deque[int]] = defaultdict(deque)
    for place in sorted(range(len(keys)), key=lambda at: (_drawn(keys[at], seed), at)):
        waiting[strata[place] if strata else None].append(place)
    claims = _claims({stratum: len(places) for stratum, places in waiting.items()})
    return (waiting[stratum].popleft() for stratum in claims)


def shares(sizes: Mapping[Hashable, int], number: int) -> dict[Hashable, int]:
    """How many of each stratum make a sample of `number`: in proportion to its size, by odd divisors.

    Webster's method (Balinski and Young 1982, ch. 4): a larger sample takes no
    fewer of any stratum. Equal claims go to the stratum that was named first.
    """
    given = Counter(islice(_claims(sizes), number))
    return {stratum: given[stratum] for stratum in sizes}


def _claims(sizes: Mapping[Hashable, int]) -> Iterator[Hashable]:
    """The stratum of every place of a growing sample, until all are taken."""
    given: Counter[Hashable] = Counter()
    names = [name for name, size in sizes.items() if size > 0]
    claims = [(-Fraction(sizes[name]), place) for place, name in enumerate(names)]
    heapq.heapify(claims)
    while claims:
        _, place = heapq.heappop(claims)
        name = names[place]
        given[name] += 1
        if given[name] < sizes[name]:
            heapq.heappush(claims, (-Fraction(sizes[name], 2 * given[name] + 1), place))
        yield name


def shuffled(keys: Sequence[str], *salt: str) -> list[int]:
    """Places of the keys in an order that hangs on nothing but the keys and the salt."""
    return sorted(range(len(keys)), key=lambda place: (_hash(*salt, keys[place]), place))


def coin(*salt: str) -> bool:
    """Heads or tails, by the salt alone."""
    return _hash(*salt)[0] & 1 == 1


def _drawn(key: str, seed: int) -> bytes:
    return _hash(str(seed), key)


def _hash(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
