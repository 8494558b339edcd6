"""Bundles of any size, made from the small one of ``made_bundles``, and sessions for them.

The audio is not there: what reads tokens, lists and the key needs none. Sentences are split evenly
over conditions (systems; ordered pairs; all systems together) by a cyclic Latin square, as many
lists as conditions. Every list has a gold trial, a trap and two repeats.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

from mamtra_eval.listening.bundle import Bundle, open_bundle
from mamtra_eval.listening.simulating import simulate
from mamtra_eval.listening.trials import Response, Session
from tests.listening import made_bundles
from tests.listening.made_bundles import token

SYSTEMS = {"teacher": "system", "hybrid": "system", "student": "system",
           "recordings": "reference", "low anchor": "anchor"}  # fmt: skip


def write(
    folder: Path, kind: str = "mos", systems: Mapping[str, str] = SYSTEMS, items: int = 20,
    **analysis: Any,
) -> Bundle:  # fmt: skip
    """A bundle; ``analysis`` changes the manifest's section of that name."""
    made = made_bundles.write(folder, kind)
    manifest = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    key = json.loads((folder / "key/key.json").read_text(encoding="utf-8"))
    names = [f"utt-{number:02d}" for number in range(1, items + 1)]
    facts = next(iter(made.manifest["tokens"].values()))
    tokens = {
        one: named for one, named in key["tokens"].items()
        if named["made"] in ("gold", "trap", "practice")
    }  # fmt: skip
    for system in systems:
        for item in names:
            tokens[token(system, item)] = _key(system, item, "clip")
            tokens[token(system, item, "repeat")] = _key(system, item, "repeat")
    lists, trials = _lists(kind, list(systems), names, made)
    manifest["tokens"] = dict.fromkeys(tokens, facts)
    manifest["n"] = {"systems": len(systems), "items": items, "lists": len(lists),
                     "trials": items + 4, "rated": items}  # fmt: skip
    manifest["analysis"] |= {"resamples": 200, **analysis}
    key |= {"systems": dict(systems), "tokens": tokens, "trials": trials}
    for name, value in (("bundle.json", manifest), ("design/lists.json", lists),
                        ("key/key.json", key)):  # fmt: skip
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    return open_bundle(folder)


def sessions(bundle: Bundle, raters: int, seed: int = 0, **options: Any) -> list[Session]:
    """Those of simulated raters."""
    return [parse(text) for text in simulate(bundle, raters, seed, **options)]


def parse(text: str) -> Session:
    """One session from its record."""
    lines = [json.loads(line) for line in text.splitlines()]
    head = lines[0]
    return Session(
        head["session"], "r_" + head["participant"], head["list"], head["at"], True,
        head["simulated"], "own",
        tuple(
            Response(one["trial"], one["position"], tuple(one["tokens"]),
                     tuple(map(float, one["ratings"])), one["rt_ms"], tuple(one["heard"]),
                     tuple(one["plays"]), one["at"])
            for one in lines if one["type"] == "rating"
        ),
    )  # fmt: skip


def answered(
    bundle: Bundle, rater: str, answers: Iterable[tuple[Sequence[str], str, Sequence[float]]],
    session: str | None = None,
) -> Session:  # fmt: skip
    """A session by hand: systems as shown, sentence, ratings; each a rated trial of some list."""
    known = {(one.tokens, trial) for trial, one in bundle.key.trials.items() if one.role == "rated"}
    found = []
    for position, (systems, item, ratings) in enumerate(answers, start=1):
        tokens = tuple(token(system, item) for system in systems)
        trial = min((trial for shown, trial in known if shown == tokens))
        found.append(Response(trial, position, tokens, tuple(map(float, ratings))))
    return Session(session or f"s-{rater}", rater, "l00", None, True, False, "own", tuple(found))


def _key(system: str | None, item: str, made: str) -> dict[str, Any]:
    return {"system": system, "utterance": item, "repeat": 0, "made": made}


def _lists(
    kind: str, systems: list[str], names: list[str], made: Bundle
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, dict[str, Any]]]:
    if made.kind.is_pair:
        conditions = [list(pair) for pair in permutations(systems, 2)]
    elif kind == "mushra":
        conditions = [systems[place:] + systems[:place] for place in range(len(systems))]
    else:
        conditions = [[system] for system in systems]
    lists: dict[str, list[dict[str, Any]]] = {}
    trials: dict[str, dict[str, Any]] = {}
    checks = {
        one.role: [one.tokens, {"expected": one.expected, "tolerance": one.tolerance}]
        for one in made.key.trials.values() if one.role in ("gold", "trap")
    }  # fmt: skip
    for number in range(len(conditions)):
        shown = [(item, conditions[(place + number) % len(conditions)])
                 for place, item in enumerate(names)]  # fmt: skip
        shown = shown[3 * number :] + shown[: 3 * number]
        name = f"l{number:02d}"
        asked: list[tuple[str, list[str], dict[str, Any]]] = [
            ("rated", [token(system, item) for system in together], {}) for item, together in shown
        ]
        asked += [(role, list(tokens), more) for role, (tokens, more) in checks.items()]
        asked += [
            ("repeat", [token(system, item, "repeat") for system in together],
             {"of": f"{name}_{place:02d}"})
            for place, (item, together) in enumerate(shown[:2], start=1)
        ]  # fmt: skip
        lists[name] = []
        for place, (role, tokens, more) in enumerate(asked, start=1):
            trial = f"{name}_{place:02d}"
            lists[name].append({"id": trial, "tokens": tokens, "reference": None})
            trials[trial] = {"role": role, "tokens": tokens, "expected": None, "tolerance": 0.0,
                             "of": None, **more}  # fmt: skip
    return lists, trials
