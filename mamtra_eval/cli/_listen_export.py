"""``listen plan`` and ``listen export``: what a test is worth, and its bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mamtra_eval.listening.building.loudness import Level
    from mamtra_eval.listening.building.planning import Plan
    from mamtra_eval.listening.building.settling import Options
    from mamtra_eval.listening.kinds import Kind
    from mamtra_eval.rundata import RunData

RUN = Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A run with clips.")]
KIND = Annotated[str, typer.Option(help="mos, smos, cmos, ab or mushra.")]
SYSTEMS = Annotated[str | None, typer.Option(help="Names, by commas; all of the run if left out.")]
RATERS = Annotated[int, typer.Option(min=1, help="Planned, one session each.")]
ITEMS = Annotated[int | None, typer.Option(min=1, help="Sentences; 40 or what there is.")]
PER_SESSION = Annotated[int, typer.Option(min=1, help="Most sentences of a session.")]
BASELINE = Annotated[str | None, typer.Option(help="The run's own if left out.")]
REFERENCE = Annotated[
    bool, typer.Option("--reference/--no-reference", help="Rate recordings, hidden, too.")
]
ANCHOR = Annotated[bool, typer.Option("--anchor/--no-anchor", help="Rate a low anchor, too.")]
PAIRS = Annotated[str, typer.Option(help="Of cmos and ab: baseline (each with it) or all.")]
AS_JSON = Annotated[bool, typer.Option("--json", help="One JSON document.")]
TEXT = typer.Option()
GUESSABLE = 2**40
SHOWN_LU = 0.05
"""Less than is printed of a loudness."""


def plan(
    run: RUN,
    kind: KIND = "mos",
    systems: SYSTEMS = None,
    raters: RATERS = 24,
    items: ITEMS = None,
    per_session: PER_SESSION = 24,
    baseline: BASELINE = None,
    reference: REFERENCE = True,
    anchor: ANCHOR = True,
    pairs: PAIRS = "baseline",
    difference: Annotated[
        float | None, typer.Option(min=0, help="Points that are to be seen.")
    ] = None,
    hourly: Annotated[
        float | None, typer.Option("--pay-per-hour", min=0, help="For the cost of all sessions.")
    ] = None,
    pilot: Annotated[
        Path | None,
        typer.Option(metavar="BUNDLE", help="Analysed, of mos, smos or mushra: take its spreads."),
    ] = None,
    as_json: AS_JSON = False,
) -> None:
    """Say what a test of this size can see, how long a session is and what it costs."""
    from mamtra_eval.cli.output import to_json
    from mamtra_eval.listening import kinds
    from mamtra_eval.listening.building import exporting, settling
    from mamtra_eval.listening.building.spreads import of_pilot

    options = settling.Options(
        kinds.find(kind), _names(systems), items, per_session=per_session, raters=raters,
        baseline=baseline, reference=reference, anchor=anchor, pairs=_pairs(pairs),
        difference=difference, hourly=hourly,
    )  # fmt: skip
    data = _read(run)
    found = exporting.foresee(data, options, of_pilot(pilot, options.kind) if pilot else None)
    if as_json:
        typer.echo(to_json(found.to_dict()))
    else:
        _print(found, options)


def export(
    run: RUN,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder for the bundle.")],
    kind: KIND = "mos",
    systems: SYSTEMS = None,
    items: ITEMS = None,
    per_session: PER_SESSION = 24,
    raters: RATERS = 24,
    replicates: Annotated[
        int, typer.Option(min=1, max=50, help="Times that every clip is in the lists.")
    ] = 1,
    seed: Annotated[
        int | None,
        typer.Option(help="Secret: same seed, same bytes. Drawn and kept in key/ if left out."),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="static (always there), by commas: offline (one file), webmushra, p808, prolific.",
        ),
    ] = "static,offline",
    consent: Annotated[
        Path | None, typer.Option(help="The study's own words; a rehearsal without.")
    ] = None,
    baseline: BASELINE = None,
    margin: Annotated[
        float | None, typer.Option(min=0, help="Of equivalence, points; declared before ratings.")
    ] = None,
    reference: REFERENCE = True,
    anchor: ANCHOR = True,
    pairs: PAIRS = "baseline",
    question: Annotated[
        str | None, typer.Option(help="In place of the kind's own; it changes what comes out.")
    ] = None,
    step: Annotated[
        float | None, typer.Option(help="Of the scale of mos and smos: 1 or 0.5.")
    ] = None,
    gold: Annotated[int, typer.Option(min=0, max=2, help="Trials with an obvious answer.")] = 2,
    traps: Annotated[int, typer.Option(min=0, max=2, help="Clips that say the answer.")] = 2,
    repeats: Annotated[int, typer.Option(min=0, max=4, help="Trials that come again.")] = 2,
    headphones: Annotated[int, typer.Option(min=0, max=12, help="Trials of that check.")] = 6,
    sample_rate: Annotated[int, typer.Option(min=8000, max=192000, help="Hz, of all.")] = 48000,
    container: Annotated[str, typer.Option("--audio", help="wav or flac.")] = "wav",
    loudness: Annotated[
        str, typer.Option(help="LUFS of all clips; none leaves levels as they are.")
    ] = "-23",
    trim: Annotated[
        bool, typer.Option("--trim/--keep-silence", help="Equal pauses at the ends.")
    ] = True,
    title: Annotated[str, TEXT] = "Listening test",
    contact: Annotated[str, typer.Option(help="Whom raters can ask.")] = "",
    payment: Annotated[str, TEXT] = "",
    retention: Annotated[str, typer.Option(help="How long ratings are kept.")] = "",
    completion_code: Annotated[str | None, typer.Option(help="Shown at the end.")] = None,
    redirect: Annotated[str | None, typer.Option(help="Address to go back to.")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Where the audio will lie, for p808.")
    ] = None,
    study_url: Annotated[
        str | None, typer.Option(help="Where the site will lie, for prolific.")
    ] = None,
    created: Annotated[
        str | None, typer.Option(help="2026-11-27T00:00:00Z in place of now.")
    ] = None,
) -> None:  # fmt: skip
    """Write a blinded bundle: page, lists, key, pre-registration. Same seed, same bytes."""
    from mamtra_eval.listening.building import design, exporting, settling

    options = settling.Options(
        _kind(kind, step, question), _names(systems), items, per_session, raters, replicates,
        design.Checks(gold, traps, repeats, 1), headphones, reference, anchor, _pairs(pairs),
        baseline, margin or None, _seed(seed), _level(sample_rate, loudness, trim), container,
        _formats(form), base_url, study_url, title=title, consent=consent, contact=contact,
        payment=payment,
        retention=retention, completion=completion_code, redirect=redirect, created=created,
    )  # fmt: skip
    made = exporting.export(_read(run), out, options)
    _tell(made.manifest, out)
    if exporting.OFFLINE in options.formats and not (out / "offline").is_dir():
        limit_mb = exporting.OFFLINE_BYTES // 10**6
        typer.echo(f"! No offline/test.html: the audio has over {limit_mb} MB (--sample-rate 24000 "
                   "or --audio flac make it smaller).")  # fmt: skip
    if seed is not None and abs(seed) < GUESSABLE:
        typer.echo("! A short seed can be guessed: who has this program and the run's audio can "
                   "then tell which clip is whose. Leave --seed away for a study.")  # fmt: skip


def _read(run: Path) -> RunData:
    from mamtra_eval import rundata
    from mamtra_eval.reader import RunReader

    with RunReader(run) as store:
        return rundata.read(store)


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(filter(None, (part.strip() for part in text.split(","))))


def _pairs(text: str) -> str:
    from mamtra_eval.errors import UserError

    if text not in ("baseline", "all"):
        raise UserError(f"--pairs takes baseline or all, not {text!r}", fix="Give one of them.")
    return text


def _seed(given: int | None) -> int:
    import secrets

    return secrets.randbits(63) if given is None else given


def _formats(text: str) -> tuple[str, ...]:
    from mamtra_eval.errors import unknown_name
    from mamtra_eval.listening import exports

    known = ("static", "offline", *exports.FORMATS)
    for name in _names(text) or ():
        if name not in known:
            raise unknown_name("format of a bundle", name, known)
    return tuple(name for name in _names(text) or () if name != "static")


def _kind(name: str, step: float | None, question: str | None) -> Kind:
    from dataclasses import replace

    from mamtra_eval.listening import kinds

    found = kinds.find(name, step)
    return replace(found, question=" ".join(question.split())) if question else found


def _level(sample_rate_hz: int, loudness: str, trim: bool) -> Level:
    from mamtra_eval.errors import UserError
    from mamtra_eval.listening.building.loudness import Level

    try:
        target = None if loudness == "none" else float(loudness)
    except ValueError:
        target = 1.0
    if target is not None and not -50 <= target <= -10:
        raise UserError(
            f"--loudness takes LUFS from -50 to -10, or none, not {loudness!r}",
            fix="Leave it away for -23.",
        )
    return Level(sample_rate_hz, target, threshold_dbfs=-50.0 if trim else None)


def _print(found: Plan, options: Options) -> None:
    lines = [
        f"{found.kind}: {found.systems} systems, {found.items} sentences, {found.raters} raters",
        f"A session: {found.trials} trials, about {found.minutes:g} minutes"
        + ("" if found.cost is None else f"; all sessions cost {found.cost:,.2f}"),
        f"Votes a {'pair' if options.kind.is_pair else 'system'}: {found.votes_per_system:.0f}",
    ]
    if found.smallest is not None:
        rests = "assumed spreads" if found.assumed else "the pilot's spreads"
        lines += [
            f"Told apart with 80 %, by {rests}: a "
            f"single pair by itself from {found.smallest:.2f} points on",
            *_corrected(found),
            f"With votes without end from these raters on these sentences, a single pair by itself "
            f"still from {found.floor:.2f}",
        ]
    what = "share" if found.kind == "ab" else "difference"
    needed = ", ".join(f"{one}: {votes:,}" for one, votes in found.votes_needed.items())
    lines.append(f"Independent votes that a {what} needs, of a single pair: {needed}")
    for line in [*lines, *(f"! {warning}" for warning in found.warnings)]:
        typer.echo(line)


def _corrected(found: Plan) -> list[str]:
    if found.comparisons < 2:
        return []
    return [f"After correction over {found.comparisons} pairs from {found.smallest_corrected:.2f}"]


def _tell(manifest: dict[str, Any], out: Path) -> None:
    n, loudness = manifest["n"], manifest["audio"]["loudness"]
    typer.echo(
        f"{out}: {manifest['kind']['name']}, {n['systems']} systems, {n['items']} sentences, "
        f"{n['lists']} lists of {n['trials']} trials ({n['rated']} rated)"
    )
    if loudness["normalised"]:
        lowered = loudness["asked_lufs"] - loudness["target_lufs"] >= SHOWN_LU
        why = f", asked {loudness['asked_lufs']:g}: a peak would have gone over" if lowered else ""
        typer.echo(f"Every clip at {loudness['target_lufs']:.1f} LUFS{why}")
    left = {one["utterance"] for one in manifest["left_out"]}
    if left:
        systems = ", ".join(sorted({one["system"] for one in manifest["left_out"]}))
        typer.echo(f"! {len(left)} sentences are left out because of {systems} (bundle.json says "
                   "why): that flatters systems whose clips fail.")  # fmt: skip
    if manifest["consent"]["template"]:
        typer.echo("! A rehearsal: give --consent FILE before anybody else takes part.")
    typer.echo(f"Next: mamtra-eval listen serve {out}")
