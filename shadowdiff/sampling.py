"""Which of many turns to label or to judge: drawn by a seed, spread over orgs, and the same ones whenever it is asked.

A larger sample of the same seed holds every smaller one, so that what was
labelled or paid for still counts when the number is raised.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from fractions import Fraction


def draw(keys: Sequence[str], number: int, *, seed: int = 0, strata: Sequence[Hashable] | None = None) -> list[int]:
    """Places of `number` of the keys, in their own order; all of them where there are no more.

    The order of drawing is that of the hashes of seed and key: it hangs on no
    other key, nor on where a key stands. With `strata`, one per key, each stratum gives
    its share of the sample (`shares`).

    Raises ValueError on a negative number, or strata of another length.
    """
    if number < 0 or (strata is not None and len(strata) != len(keys)):
        raise ValueError(f"{number} of {len(keys)} keys cannot be drawn from {len(strata or ())} strata")
    waiting: dict[Hashable, list[int]] = defaultdict(list)
    for place in sorted(range(len(keys)), key=lambda at: (_drawn(keys[at], seed), at)):
        waiting[strata[place] if strata else None].append(place)
    given = shares({stratum: len(places) for stratum, places in waiting.items()}, number)
    return sorted(place for stratum, places in waiting.items() for place in places[: given[stratum]])


def shares(sizes: Mapping[Hashable, int], number: int) -> dict[Hashable, int]:
    """How many of each stratum make a sample of `number`: in proportion to its size, by odd divisors.

    Webster's method (Balinski and Young 1982, ch. 4): a larger sample takes no
    fewer of any stratum. Equal claims go to the stratum that was named first.
    """
    given: Counter[Hashable] = Counter()
    names = [name for name, size in sizes.items() if size > 0]
    claims = [(-Fraction(sizes[name]), place) for place, name in enumerate(names)]
    heapq.heapify(claims)
    for _ in range(min(number, sum(sizes.values()))):
        _, place = heapq.heappop(claims)
        name = names[place]
        given[name] += 1
        if given[name] < sizes[name]:
            heapq.heappush(claims, (-Fraction(sizes[name], 2 * given[name] + 1), place))
    return {stratum: given[stratum] for stratum in sizes}


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
