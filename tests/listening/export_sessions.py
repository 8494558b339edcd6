"""Simulated sessions of the made bundle, and the votes of each condition by its key alone."""

from __future__ import annotations

import random
from collections import defaultdict

from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.trials import Response, Session

RATERS = 12


def sessions(bundle: Bundle, seed: int = 3) -> list[Session]:
    """Raters who go through every list, with checks answered right."""
    rng = random.Random(seed)
    low, high = int(bundle.kind.scale.low), int(bundle.kind.scale.high)
    made = []
    while len(made) < RATERS * len(bundle.lists):
        number = len(made)
        name = list(bundle.lists)[number % len(bundle.lists)]
        answers = []
        for place, trial in enumerate(bundle.lists[name], 1):
            key = bundle.key.trials[trial.id]
            right = int(key.expected or 0) if key.role in ("gold", "trap", "null") else None
            if right is None:
                system = bundle.key.tokens[trial.tokens[-1]].system
                centre = {"teacher": 1.2, "hybrid": 0.1}.get(str(system), 2.0)
                right = round(min(high, max(low, (low + high) / 2 + rng.gauss(centre - 1, 1))))
            answers.append(Response(trial.id, place, trial.tokens, (float(right),)))
        rated = {answer.ratings for answer in answers[:4]}
        if len(rated) == 1:  # the toolkit leaves sessions out that say the same four times
            continue
        made.append(
            Session(f"x{number:03d}", f"r_{number % RATERS}", name, None, True, True, "own",
                    tuple(answers))
        )  # fmt: skip
    return made


def votes(bundle: Bundle, answered: list[Session]) -> dict[tuple[str, ...], list[float]]:
    """Of every condition, by the key alone; of pairs positive for the second of ``PAIRS``."""
    found: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for session in answered:
        for response in session.responses:
            if bundle.key.trials[response.trial].role != "rated":
                continue
            systems = [str(bundle.key.tokens[token].system) for token in response.tokens]
            rating = response.ratings[0]
            if len(systems) == 1:
                found[(systems[0],)].append(rating)
            elif (pair := (systems[0], systems[1])) in PAIRS:
                found[pair].append(rating)
            else:
                found[pair[::-1]].append(-rating)
    return dict(found)


PAIRS = {("teacher", "hybrid"), ("teacher", "recordings"), ("hybrid", "recordings")}
"""The baseline first, else by name."""
