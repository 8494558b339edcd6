"""Who hears what, and in which order.

Items are sentences, conditions what is asked of one: a system (mos, smos), two systems in one order
(cmos, ab), or all of them beside each other (mushra). Items are split into blocks of one session.
A list has each item of its block once, in the condition that a cyclic Latin square gives it: a
rater never hears a sentence twice, but for the repeats that are there to be compared. The lists of
all shifts over a block are a family; the families of all blocks are a replicate, in which each cell
(item, condition) has exactly one vote. Lists are handed out in their order, so that at any
time cells differ by one vote at most.

Within a family, checks stand at the same places and conditions follow shifts of one sequence
(``sequences``), so that positions are balanced exactly. Sentences change their places from list to
list: an effect of the position can be told from one of the sentence. Checks keep away from the
first two places and the last one, and repeats from what they repeat.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations

from mamtra_eval.errors import UserError
from mamtra_eval.listening.building.sequences import balanced
from mamtra_eval.listening.trials import Role

FIRST, LAST = 2, 1
"""Places at the beginning and at the end of a list that have no check."""
TRIES = 400


@dataclass(frozen=True)
class Slot:
    """One trial of a list, before it has tokens.

    Attributes:
        item: the sentence; ``None`` for a gold trial, a trap or a null pair.
        systems: one, or two in the order shown, or all in the order shown.
        check: which gold trial, trap or null pair, from 0.
        of: the place in the list, from 0, that a repeat repeats.
    """

    role: Role
    item: str | None = None
    systems: tuple[str, ...] = ()
    check: int | None = None
    of: int | None = None


@dataclass(frozen=True)
class Checks:
    """How many of each a list has."""

    gold: int = 0
    traps: int = 0
    repeats: int = 0
    null: int = 0

    @property
    def total(self) -> int:
        """Of all."""
        return self.gold + self.traps + self.repeats + self.null


@dataclass(frozen=True)
class Design:
    """The lists, in the order in which they are handed out.

    Attributes:
        lists: trials by name, ``l000`` on.
        conditions: what the Latin square ran over.
        families: lists that are shifts of each other.
        replicate: lists after which every cell has one more vote.
    """

    lists: dict[str, tuple[Slot, ...]]
    conditions: tuple[tuple[str, ...], ...]
    families: tuple[tuple[str, ...], ...] = field(repr=False)
    replicate: int = 0


def conditions_of(kind: str, systems: Sequence[str], pairs: str, baseline: str | None) -> list[
    tuple[str, ...]
]:  # fmt: skip
    """What a trial may be: systems, ordered pairs, or all at once.

    Args:
        kind: of the test.
        systems: to be rated.
        pairs: ``all`` of them, or those with the ``baseline``.
        baseline: needed for the latter.
    """
    if kind == "mushra":
        return [tuple(systems)]
    if kind not in ("cmos", "ab"):
        return [(system,) for system in systems]
    ordered = list(permutations(systems, 2))
    return [pair for pair in ordered if pairs == "all" or baseline in pair]


def draw(
    items: Sequence[str],
    conditions: Sequence[tuple[str, ...]],
    *,
    per_session: int,
    replicates: int,
    checks: Checks,
    seed: str,
) -> Design:
    """Draw the lists; UserError where a list would be too short for its checks.

    Args:
        items: sentences, in any order.
        conditions: of ``conditions_of``.
        per_session: most sentences of one list.
        replicates: how often every cell shall be there; each has orders of its own.
        checks: of each list.
        seed: the same seed, the same lists.
    """
    blocks = _blocks(items, per_session, seed)
    lists: dict[str, tuple[Slot, ...]] = {}
    families: list[tuple[str, ...]] = []
    for replicate in range(replicates):
        made = [
            list(_family(block, conditions, checks, f"{seed}|{replicate}|{number}"))
            for number, block in enumerate(blocks)
        ]
        # Shift by shift through the blocks: the first raters already cover all sentences.
        order = [(block, shift) for shift in range(len(made[0])) for block in range(len(made))]
        names: dict[int, list[str]] = {block: [] for block in range(len(made))}
        for block, shift in order:
            name = f"l{len(lists):03d}"
            lists[name] = tuple(made[block][shift])
            names[block].append(name)
        families += [tuple(own) for own in names.values()]
    return Design(lists, tuple(conditions), tuple(families), len(lists) // replicates)


def _blocks(items: Sequence[str], per_session: int, seed: str) -> list[list[str]]:
    """Items in blocks that differ by one in size at most."""
    shuffled = sorted(items)
    random.Random(f"{seed}|blocks").shuffle(shuffled)  # noqa: S311 -- an order, no secret
    count = -(-len(shuffled) // per_session)
    return [shuffled[block::count] for block in range(count)]


def _family(
    block: Sequence[str], conditions: Sequence[tuple[str, ...]], checks: Checks, seed: str
) -> Iterator[list[Slot]]:
    """The lists over one block, one a shift; mushra, with one condition, turns what it shows."""
    rng = random.Random(seed)  # noqa: S311 -- an order, no secret
    order = list(block)
    rng.shuffle(order)
    sequence = balanced(len(order), len(conditions), seed)
    layout = _layout(sequence, checks, rng)
    if len(conditions) == 1:  # all side by side: an order for each sentence, which the lists turn
        turns = {item: rng.sample(conditions[0], len(conditions[0])) for item in order}
        for shift in range(len(conditions[0])):
            shown = {item: (*turns[item][shift:], *turns[item][:shift]) for item in order}
            yield list(_list(rng.sample(order, len(order)), shown, layout))
        return
    count = len(conditions)
    places = {one: [at for at, c in enumerate(sequence) if c == one] for one in range(count)}
    classes = [[order[at] for at in places[one]] for one in range(count)]
    # A class of sentences has condition ``class + start`` in a list: over the lists each once.
    # Where classes are of one size, their starts are shuffled, and they move over all places; else
    # each stays at its own places, among which its sentences move.
    even = len(order) % count == 0
    starts = rng.sample(range(count), count) if even else range(count)
    for shift, start in enumerate(starts):
        at: dict[int, str] = {}
        for number, group in enumerate(classes):
            condition = (number + start) % count
            free = places[(condition - shift) % count]
            at |= dict(zip(free, rng.sample(group, len(group)), strict=True))
        items = [at[place] for place in range(len(order))]
        shown = {
            item: conditions[(sequence[place] + shift) % count] for place, item in enumerate(items)
        }
        yield list(_list(items, shown, layout))


def _list(
    order: Sequence[str], shown: Mapping[str, tuple[str, ...]], layout: Sequence[Slot | int]
) -> Iterator[Slot]:
    """One list: ``layout`` has the numbers of rated trials in order, and checks between them."""
    for slot in layout:
        if isinstance(slot, int):
            yield Slot("rated", order[slot], shown[order[slot]])
        elif slot.role == "repeat":
            number = layout[slot.of or 0]
            item = order[number if isinstance(number, int) else 0]
            yield Slot("repeat", item, shown[item], of=slot.of)
        else:
            yield slot


def _layout(sequence: Sequence[int], checks: Checks, rng: random.Random) -> list[Slot | int]:
    """Where checks stand among the rated trials of a family."""
    total = len(sequence) + checks.total
    free = range(FIRST, total - LAST)
    if len(free) < checks.total or checks.repeats > len(sequence) // 2:
        raise UserError(
            f"a list of {len(sequence)} sentences has no room for {checks.total} checks",
            fix="Take more sentences (--items, --per-session) or fewer checks.",
        )
    tried = (_placed(sequence, checks, sorted(rng.sample(free, checks.total)), rng)
             for _ in range(TRIES))  # fmt: skip
    return min(tried, key=lambda layout: _crowded(layout, sequence))


def _placed(
    sequence: Sequence[int], checks: Checks, places: Sequence[int], rng: random.Random
) -> list[Slot | int]:
    """Checks at these places: repeats as late as can be, the others mixed before them."""
    others = [Slot("gold", check=number) for number in range(checks.gold)]
    others += [Slot("trap", check=number) for number in range(checks.traps)]
    others += [Slot("null", check=number) for number in range(checks.null)]
    rng.shuffle(others)
    behind = max(checks.repeats, len(places) - len(places) // 2)
    late = set(rng.sample(places[len(places) - behind :], checks.repeats))
    numbers, rest = iter(range(len(sequence))), iter(others)
    layout: list[Slot | int] = []
    repeated: set[int] = set()
    for place in range(len(sequence) + checks.total):
        if place in late:
            early = [
                before
                for before, slot in enumerate(layout[: max(1, 2 * len(layout) // 3)])
                if isinstance(slot, int) and before not in repeated
            ]
            chosen = rng.choice(early or [0])
            repeated.add(chosen)
            layout.append(Slot("repeat", of=chosen))
        elif place in places:
            layout.append(next(rest))
        else:
            layout.append(next(numbers))
    return layout


def _crowded(layout: Sequence[Slot | int], sequence: Sequence[int]) -> int:
    """Faults of a layout: checks side by side, a repeat beside its own condition or too near."""
    faults = 0
    for place, slot in enumerate(layout):
        if isinstance(slot, int):
            continue
        before, after = layout[place - 1], layout[place + 1] if place + 1 < len(layout) else None
        faults += not isinstance(before, int)
        if slot.role == "repeat":
            own = layout[slot.of or 0]
            condition = sequence[own] if isinstance(own, int) else None
            beside = [sequence[one] for one in (before, after) if isinstance(one, int)]
            faults += 3 * (len({*sequence}) > 1 and condition in beside)
            faults += 3 * (place - (slot.of or 0) < max(2, len(layout) // 3))
    return faults
