"""Orders for a Latin square in which neighbours and positions are balanced.

Lists of a family differ by a shift: where one has condition ``c``, the next has ``c + 1`` (modulo
their number). Over the family each position then has each condition once, and each step from one
condition to another is as frequent as their difference is in the one sequence they share. So it is
enough to find a sequence in which every difference is as frequent as the others (as in Williams'
squares, 1949, which are the case of one round), no condition follows itself, and the mean position
of each is near the middle. Two conditions that never followed themselves would only alternate,
which a rater can guess: they follow themselves once at most.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

STEPS = 3000
"""Swaps that are tried; on lists of 40 trials the last thousand find nothing."""
NEAR = 0.5
"""How far the mean position of a condition may be from the middle at no cost, in positions."""


def balanced(places: int, conditions: int, seed: str) -> list[int]:
    """A sequence of condition numbers, each as often as the others up to one.

    Args:
        places: its length.
        conditions: how many there are.
        seed: of the search; the same seed, the same sequence.
    """
    rng = random.Random(seed)  # noqa: S311 -- an order, no secret
    if conditions == 2:
        return _of_two(places, rng)
    found = [place % conditions for place in range(places)]
    rng.shuffle(found)
    if conditions == 1 or places < 2:
        return found
    best = cost(found, conditions)
    for step in range(STEPS):
        one, other = rng.randrange(places), rng.randrange(places)
        found[one], found[other] = found[other], found[one]
        new = cost(found, conditions)
        heat = 0.5 * (1 - step / STEPS) ** 2
        if new <= best or (heat > 0 and rng.random() < math.exp((best - new) / heat)):
            best = new
        else:
            found[one], found[other] = found[other], found[one]
    return found


def _of_two(places: int, rng: random.Random) -> list[int]:
    """Two by two in random order: runs of two at most, and no order that a rater could guess."""
    pairs = [rng.sample((0, 1), 2) for _ in range(-(-places // 2))]
    return [one for pair in pairs for one in pair][:places]


def cost(sequence: Sequence[int], conditions: int) -> float:
    """How far a sequence is from balance; 0 where nothing is to be wished for."""
    steps = Counter((after - before) % conditions for before, after in pairwise(sequence))
    even = (len(sequence) - 1) / (conditions - 1) if conditions > 1 else 0.0
    uneven = sum(max(0.0, abs(steps[step] - even) - 0.5) ** 2 for step in range(1, conditions))
    return 100.0 * steps[0] + uneven + sum(_off(sequence, one) for one in range(conditions))


def _off(sequence: Sequence[int], condition: int) -> float:
    places = [place for place, one in enumerate(sequence) if one == condition]
    if len(places) < 2:  # where each comes once, the family balances what one list can't
        return 0.0
    middle = (len(sequence) - 1) / 2
    return max(0.0, abs(sum(places) / len(places) - middle) - NEAR) ** 2
