"""A bundle in the formats of other programs.

webmushra   configurations of webMUSHRA, one a list: mos, smos, mushra
p808        clip tables and settings of the P.808 toolkit: mos (as ACR), cmos (as CCR)
prolific    the draft of a study on Prolific: every kind, since raters see the bundle's own site

Each format is a module with ``KINDS`` and ``write(bundle, folder)``. What it writes goes to
``exports/<format>/`` of the bundle, with a README for the person who runs it. The same bundle gives
the same bytes. Nothing there names a system or an utterance; only the tables of P.808, which
raters never see, say which clips are checks.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.exports import p808, prolific, webmushra

FORMATS = ("webmushra", "p808", "prolific")
FOLDER = "exports"
BASE_URL = "https://YOUR-HOST/audio/"
STUDY_URL = "https://YOUR-HOST/"


KINDS = {"webmushra": webmushra.KINDS, "p808": p808.KINDS, "prolific": prolific.KINDS}


def check(formats: Sequence[str], kind: str) -> None:
    """UserError for an unknown format, or one that can't hold a test of this kind."""
    for name in formats:
        if name not in KINDS:
            raise unknown_name("export format", name, FORMATS)
        if kind not in KINDS[name]:
            raise UserError(
                f"{name} can't hold a test of kind {kind}",
                fix=f"It holds {', '.join(KINDS[name])}; the bundle's own site holds all.",
            )


def write(
    bundle: Bundle,
    formats: Sequence[str],
    *,
    base_url: str | None = None,
    study_url: str = STUDY_URL,
) -> list[Path]:
    """Write a bundle in other formats, in place of what was there of an earlier export.

    Args:
        bundle: with its ``site/`` and ``key/``.
        formats: of ``FORMATS``.
        base_url: where the clips of ``exports/p808/audio`` will lie, for P.808; ``None`` for a
            place to be filled in.
        study_url: where the site will lie, for Prolific.

    Returns:
        The folder of each format.

    Raises:
        UserError: for an unknown format, or one that can't hold the bundle; then none is written.
    """
    check(formats, bundle.kind.name)
    writers: Mapping[str, Callable[[Bundle, Path], None]] = {
        "webmushra": webmushra.write,
        "p808": partial(p808.write, base_url=base_url or BASE_URL),
        "prolific": partial(prolific.write, url=study_url),
    }
    drafts = {name: bundle.folder / FOLDER / f".{name}.part" for name in formats}
    try:
        for name, draft in drafts.items():
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            writers[name](bundle, draft)
        return [_into_place(draft, draft.with_name(name)) for name, draft in drafts.items()]
    finally:
        for draft in drafts.values():
            shutil.rmtree(draft, ignore_errors=True)


def _into_place(draft: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return draft.replace(folder)
