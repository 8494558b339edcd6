"""Is a test set in the training data: its texts, its prompts' texts, its recordings.

``check`` streams a training manifest (``manifests``) past indexes of the test set (``texts``,
``sounds``). What it finds is evidence for leaving utterances out; that nothing is found proves
nothing about data that the manifest does not name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mamtra_eval.contamination import manifests
from mamtra_eval.contamination.texts import NORMALIZATION, TextIndex
from mamtra_eval.errors import UserError
from mamtra_eval.testset import TestSet

if TYPE_CHECKING:
    from mamtra_eval.contamination.sounds import Copy

TEXT, PROMPT_TEXT, PROMPT, TRUTH = "text", "prompt text", "prompt audio", "ground truth"


@dataclass(frozen=True)
class Finding:
    """One thing of one utterance that the training data has."""

    utterance: str
    what: str
    """``text``, ``prompt text``, ``prompt audio`` or ``ground truth``."""
    how: str
    """``exact``, ``n-grams`` or ``fingerprint``."""
    amount: float
    """1 for exact; the share of n-grams; the bit error rate."""
    where: str
    evidence: str


@dataclass(frozen=True)
class Report:
    """What was compared, and what was found."""

    testset: str
    training: str
    normalization: str
    n: int
    share: float
    lines: int
    recordings: int
    unreadable: int
    findings: list[Finding]
    utterances: list[str]
    """Those to leave out, in list order."""


def check(
    testset: TestSet, training: Path, *, audio: bool = False, n: int = 8, share: float = 0.5
) -> Report:
    """Compare a test set with a training manifest.

    Args:
        testset: loaded with its audio if that is to be compared.
        training: a manifest of one of the forms of ``manifests``.
        audio: compare recordings as well.
        n: words (Chinese: characters) in an n-gram; shorter texts are found as a whole alone.
        share: of a text's n-grams, from which on it is a finding.

    Raises:
        UserError: for a manifest that can't be read or a line that says nothing.
    """
    from mamtra_eval.audio import AudioError
    from mamtra_eval.contamination.sounds import SoundIndex  # which loads NumPy

    texts = {
        (item.id, what): text
        for item in testset.utterances
        for what, text in ((TEXT, item.text), (PROMPT_TEXT, item.prompt_text))
        if text
    }
    index = TextIndex((("\x1f".join(key), text) for key, text in texts.items()), n)
    sounds = SoundIndex(_recordings(testset)) if audio else None
    copies: dict[str, Copy] = {}
    lines = recordings = unreadable = 0
    for line in manifests.read(training):
        lines += 1
        if line.text:
            index.show(line.text, line.where)
        if sounds and line.audio:
            recordings += 1
            try:
                for copy in sounds.show(line.audio, line.where):
                    before = copies.get(copy.key)
                    if before is None or copy.error_rate < before.error_rate:
                        copies[copy.key] = copy
            except (AudioError, OSError):
                unreadable += 1
    findings = [*_of_texts(index, texts, share), *_of_sounds(testset, copies)]
    named = {one.utterance for one in findings}
    return Report(
        testset.name, str(training), NORMALIZATION, n, share, lines, recordings, unreadable,
        findings, [item.id for item in testset.utterances if item.id in named],
    )  # fmt: skip


def _recordings(testset: TestSet) -> dict[str, Path]:
    """Each file once, however many utterances have it."""
    paths = [path for item in testset.utterances for path in (item.prompt_audio, item.ground_truth)]
    return {str(path): path for path in paths if path}


def _of_texts(index: TextIndex, texts: dict[tuple[str, str], str], share: float) -> list[Finding]:
    found = []
    for (utterance, what), text in texts.items():
        key = f"{utterance}\x1f{what}"
        one, met = index.found[key], index.share(key)
        if one.exact:
            found.append(Finding(utterance, what, "exact", 1.0, one.exact, text))
        elif one.nearest and met >= share:
            found.append(Finding(utterance, what, "n-grams", met, one.nearest, one.nearest_text))
    return found


def _of_sounds(testset: TestSet, copies: dict[str, Copy]) -> list[Finding]:
    found = []
    for item in testset.utterances:
        for what, path in ((PROMPT, item.prompt_audio), (TRUTH, item.ground_truth)):
            if copy := copies.get(str(path)):
                how = "exact" if copy.exact else "fingerprint"
                amount = 1.0 if copy.exact else copy.error_rate
                told = "the same samples" if copy.exact else (
                    f"{100 * copy.error_rate:.1f} % of bits differ at {copy.offset_s:+.2f} s"
                )  # fmt: skip
                found.append(Finding(item.id, what, how, amount, copy.where, told))
    return found


def render(report: Report) -> str:
    """The report as Markdown."""
    heard = f" and {report.recordings:,} recordings" if report.recordings else ""
    lines = [
        f"{report.testset} against {report.lines:,} lines{heard} of {report.training} "
        f"({report.normalization}, {report.n}-grams)."
    ]
    if report.unreadable:
        lines.append(f"{report.unreadable:,} recordings could not be read and were not compared.")
    if not report.findings:
        return "\n".join([*lines, "Nothing of it was found."])
    lines += ["", "| utterance | what | how | amount | training line | evidence |", "|---|" * 1
              + "---|" * 5]  # fmt: skip
    for one in report.findings:
        cells = (one.utterance, one.what, one.how, f"{one.amount:.3f}", one.where, one.evidence)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    names = ", ".join(report.utterances)
    return "\n".join([*lines, "", f"Leave out {len(report.utterances)} utterances: {names}."])


def write_without(source: Path, target: Path, utterances: list[str]) -> None:
    """Copy a list without some utterances; its audio paths stay relative to the list.

    Raises:
        UserError: for a target in another folder, from which those paths would lead elsewhere.
    """
    if target.absolute().parent != source.absolute().parent:
        raise UserError(
            "audio paths of a list are relative to its folder",
            where=str(target),
            fix=f"Write it beside {source}.",
        )
    left_out = {*utterances}
    with source.open(encoding="utf-8") as lines:
        kept = [line for line in lines
                if line.partition("|")[0].strip().removesuffix(".wav") not in left_out]  # fmt: skip
    target.write_text("".join(kept), encoding="utf-8")
