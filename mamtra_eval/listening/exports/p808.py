"""Tables and settings of the P.808 toolkit: mos as its ACR, cmos as its CCR.

The toolkit finds a clip's condition by a regular expression in its URL. So clips are called
``<code>_<token>.wav``, where the code (``c07``) stands for a system (cmos: for a pair of systems)
or for a kind of check; which is which stands in ``key/p808_conditions.json``, numbered in an order
that follows from the bundle's salt.

``publish_batch.csv`` has our lists as they are, one a row. The toolkit makes one of its own from
the other tables, at random. Of each list it takes the rated trials, the first trap and the first
gold trial; repeats and further checks are left out, since it has no place for them. Where a list
has fewer rated trials than others, the trap fills the places: the toolkit never counts it.

``p808_answers`` brings our sessions to the form of the toolkit's answers, to have its numbers
beside ours.

cmos: the toolkit's reference of a pair is the baseline's clip, or else that of the system whose
name comes first; ratings are positive where the other one is better. The trap is a null pair; where
the bundle has none, the page still asks one, the first reference beside itself.
"""

from __future__ import annotations

import json
from pathlib import Path

from mamtra_eval.errors import UserError
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.exports import shared
from mamtra_eval.listening.exports.p808_answers import answers_csv
from mamtra_eval.listening.exports.p808_plan import Plan, input_row
from mamtra_eval.listening.exports.p808_text import ACR_GOLD, CCR_GOLD, MASTER, PARSER, README

__all__ = ["CONDITIONS", "KINDS", "answers_csv", "write"]

KINDS = ("mos", "cmos")
CONDITIONS = "key/p808_conditions.json"


def write(bundle: Bundle, folder: Path, base_url: str) -> None:
    """Write tables, settings, clips and ``README.md``, and the codes into ``key/``.

    Args:
        bundle: of kind mos with whole steps, or cmos.
        folder: to write to.
        base_url: where the clips will lie, with the slash at its end.

    Raises:
        UserError: for half steps, which the toolkit cuts off, or a list without trap or gold.
    """
    if bundle.kind.scale.step != 1:
        raise UserError(
            f"the scale has steps of {bundle.kind.scale.step:g}, the P.808 toolkit whole ones",
            where=str(bundle.folder),
            fix="Export the bundle with --step 1, or without --formats p808.",
        )
    plan = Plan(bundle)
    url = base_url if base_url.endswith("/") else f"{base_url}/"
    _tables(plan, folder, url)
    rows = [input_row(plan, name, url) for name in plan.sheets]
    shared.table(folder / "publish_batch.csv", list(rows[0]), [list(row.values()) for row in rows])
    _settings(plan, folder)
    for name in sorted(_files(plan)):
        token = name[name.index("s_") :].removesuffix(shared.suffix(bundle))
        shared.place(shared.clip(bundle, token), folder / "audio" / name)
    shared.text_file(folder / "README.md", README.replace("METHOD", plan.method))
    _keep_codes(plan)


def _tables(plan: Plan, folder: Path, url: str) -> None:
    questions = {one.clip: one for sheet in plan.sheets.values() for one in sheet.questions}
    rated = [questions[name] for name in sorted(questions)]
    practice = sorted(trial_file for trial_file in _practice(plan))
    if plan.method == "acr":
        shared.table(folder / "rating_clips.csv", ["rating_clips"], [[url + q.clip] for q in rated])
        rows = [[url + names[0]] for names in practice]
        shared.table(folder / "training_clips.csv", ["training_clips"], rows)
    else:
        pairs = [[url + q.clip, url + str(q.reference)] for q in rated]
        shared.table(folder / "rating_clips.csv", ["rating_clips", "references"], pairs)
        rows = [[url + name for name in reversed(names)] for names in practice]
        columns = ["training_clips", "training_references"]
        shared.table(folder / "training_clips.csv", columns, rows)
    sheets = plan.sheets.values()
    traps = sorted({(one.trap.clip, one.trap_answer) for one in sheets if one.trap})
    golds = sorted({(one.gold.clip, one.gold_answer) for one in sheets if one.gold})
    for name, found, answers in (("trapping", traps, "ans"), ("gold", golds, "clips_ans")):
        columns = [f"{name}_clips", f"{name}_{answers}"]
        rows = [[url + file, answer] for file, answer in found]
        shared.table(folder / f"{name}_clips.csv", columns, rows)


def _settings(plan: Plan, folder: Path) -> None:
    lists = len(plan.sheets)
    values = {
        "CLIPS": plan.longest,
        "TRAP_PLACES": 1,  # in CCR the page has one anyway
        "TRAPS": int(plan.has_trap),
        "GOLDS": int(plan.method == "acr"),
        "PATTERN": plan.pattern,
        "COOKIE": plan.bundle.id,
        "BONUS_AFTER": max(1, lists * 2 // 3),
        "QUESTIONS": plan.longest + int(plan.has_trap) + int(plan.method == "acr"),
        "GOLD_RULE": "gold_standard_bigger_equal: 1\n" if plan.method == "acr" else "",
        "GOLD_SECTION": ACR_GOLD if plan.method == "acr" else CCR_GOLD,
    }
    master, parser = MASTER, PARSER
    for name, value in values.items():
        master = master.replace(f"<{name}>", str(value))
        parser = parser.replace(f"<{name}>", str(value))
    shared.text_file(folder / "master.cfg", master)
    shared.text_file(folder / "result_parser.cfg", parser)


def _practice(plan: Plan) -> list[list[str]]:
    code = plan.codes[("check:practice",)]
    trials = shared.words(plan.bundle).get("practice") or ()
    return [[plan.file(code, token) for token in trial["tokens"]] for trial in trials]


def _files(plan: Plan) -> set[str]:
    asked = {
        question
        for sheet in plan.sheets.values()
        for question in (*sheet.questions, sheet.trap, sheet.gold)
        if question is not None
    }
    names = {name for one in asked for name in (one.clip, one.reference) if name}
    return names | {name for names in _practice(plan) for name in names}


def _keep_codes(plan: Plan) -> None:
    """Write what the codes mean, readable for the owner alone."""
    path = plan.bundle.folder / CONDITIONS
    meaning = {
        code: {"check": one[0].removeprefix("check:")} if one[0].startswith("check:")
        else {"system": one[0]} if len(one) == 1
        else {"reference": one[0], "system": one[1]}
        for one, code in plan.codes.items()
    }  # fmt: skip
    draft = path.with_name(f".{path.name}.part")
    shared.text_file(draft, json.dumps(meaning, ensure_ascii=False, indent=1) + "\n")
    draft.chmod(0o600)
    draft.replace(path)
