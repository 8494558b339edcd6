"""Sections on the method: agreement, power, details of the test, where everything comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mamtra_eval.listening.analysis.analysing import Analysis
from mamtra_eval.listening.screening.rules import RULE_WORDS
from mamtra_eval.report.listening import words
from mamtra_eval.report.listening.markup import Child, Markup, tag
from mamtra_eval.report.listening.parts import (
    Column,
    bullets,
    facts,
    note,
    reasons,
    section,
    table,
)

_AGREEMENT = {"alpha": "Krippendorff's alpha", "icc": "ICC", "retest": "Repeated clips",
              "split_half": "Halves of the panel"}  # fmt: skip


def reliability(analysis: Analysis) -> Markup:
    """Agreement among raters and with themselves."""
    found = analysis.reliability
    cards: list[Child] = [
        _figure("Krippendorff's alpha", words.decimals(found.alpha), f"{found.scale}; 1 is perfect "
                "agreement of single ratings, 0 is chance"),
        _figure("ICC(2,1)", words.decimals(found.icc.single if found.icc else None),
                "of one rating"),
        _figure("ICC(2,k)", words.decimals(found.icc.mean if found.icc else None),
                f"of the mean of {found.icc.k:.1f} ratings" if found.icc else "of a clip's mean"),
        _figure("Repeated clips", words.decimals(found.retest.difference if found.retest else None),
                f"points apart; {words.percent(found.retest.equal)} equal, "
                f"{words.percent(found.retest.within_one)} within one, of "
                f"{words.many(found.retest.n, 'pair')}" if found.retest else "test and retest"),
    ]  # fmt: skip
    if analysis.comparisons is None:
        halves = words.decimals(found.split_half.whole if found.split_half else None)
        told = "rank correlation of systems, stepped up to all raters"
        cards.append(_figure("Halves of the panel", halves, told))
    return section(
        "reliability",
        "Do raters agree?",
        tag("div", cards, class_="tiles"),
        reasons(
            {name: found.reasons[key] for key, name in _AGREEMENT.items() if key in found.reasons}
        ),
        caption="Agreement is about raters; it does not say that a difference is real",
    )


def power(analysis: Analysis) -> Markup:
    """What a test of this size shows, and what more would take."""
    found = analysis.power
    body: list[Child] = []
    if found.smallest is not None and found.floor is not None and found.components is not None:
        chance = words.percent(found.power)
        floor = (
            f"; with votes without end from these raters on these items, a single pair takes "
            f"{words.number(analysis, found.floor)}" if found.floor > 0 else
            "; no floor was seen: what raters and items do with systems came out at zero"
        )  # fmt: skip
        body += [
            tag("p", f"A single pair that differs by {words.number(analysis, found.smallest)} is "
                f"found in {chance} of such tests, by itself{_corrected(analysis)}{floor}.",
                class_="lead small-lead"),
            facts(
                (name, words.number(analysis, value))
                for name, value in (
                    ("Rater", found.components.rater), ("Item", found.components.item),
                    ("Rater × system", found.components.rater_system),
                    ("Item × system", found.components.item_system),
                    ("Rest of a vote", found.components.residual),
                )
            ),
            note("Standard deviations of a vote's parts, points; those that came out at zero or "
                 "less are taken for zero."),
            _needs(analysis),
        ]  # fmt: skip
    if found.preferences:
        body.append(tag("p", "Votes that tell a share of wins from one half, if they were "
                        "independent: " + ", ".join(
                            f"{float(share):.0%} takes {count:,}".replace(",", " ")
                            for share, count in found.preferences.items()) + "."))  # fmt: skip
    body.append(reasons(found.reasons))
    return section("power", "What a test of this size shows", body)


def checklist(analysis: Analysis, bundle: Mapping[str, Any]) -> Markup:
    """Details that papers leave out."""
    kind = analysis.kind
    labels = ", ".join(f"{value:g} {label}" for value, label in sorted(kind.scale.labels.items()))
    checks = bundle.get("checks", {})
    rows: list[tuple[str, Child]] = [
        ("Question", str(_of(bundle, "kind", "question") or kind.question)),
        ("Kind", f"{kind.name}: {kind.attribute}"),
        ("Scale", f"{kind.scale.low:g} to {kind.scale.high:g} by {kind.scale.step:g}".replace(
            "-", "−")),
        ("Labels", labels.replace("-", "−")),
        ("Language", str(bundle.get("language") or "not recorded")),
        ("Recruitment", str(bundle.get("recruitment") or "not recorded in the bundle")),
        ("Pay", str(bundle.get("payment") or "not recorded in the bundle")),
        ("Consent", _consent(bundle)),
        ("Checks of a session", ", ".join(f"{name} {count}" for name, count in checks.items())
         or "not recorded"),
        ("Audio", _audio(bundle)),
        ("Retention", str(bundle.get("retention") or "not recorded in the bundle")),
        ("Contact", str(bundle.get("contact") or "not recorded in the bundle")),
    ]  # fmt: skip
    rules = [
        f"{RULE_WORDS.get(name, name)}: {_rule(value)}" for name, value in analysis.rules.items()
    ]
    return section(
        "details",
        "Details that are often left out",
        facts(rows, "details"),
        tag(
            "details",
            tag("summary", "Rules of screening, as applied"),
            bullets(rules, "reasons"),
            class_="more",
        ),
        caption="Such details change the ranking of systems",
    )


def provenance(analysis: Analysis, bundle: Mapping[str, Any], version: str) -> Markup:
    """Hashes, seed, versions."""
    tool, settings = bundle.get("tool", {}), analysis.settings
    rows: list[tuple[str, Child]] = [
        ("Bundle", tag("code", analysis.bundle_id)),
        ("Content, SHA-256", tag("code", analysis.content_sha256)),
        ("Test set", _testset(bundle)),
        ("Instructions, SHA-256", tag("code", str(bundle.get("instructions_sha256", words.DASH)))),
        ("Consent, SHA-256", tag("code", str(_of(bundle, "consent", "sha256") or words.DASH))),
        ("Exported", f"{bundle.get('created', words.DASH)} by {tool.get('name', 'unknown')} "
         f"{tool.get('version', '')}"),
        ("Analysed by", f"mamtra-eval {version}"),
        ("Seeds", f"design {bundle.get('seed', words.DASH)}, analysis {settings.seed}; "
         f"{settings.resamples} resamples"),
    ]  # fmt: skip
    return section(
        "provenance", "Where it comes from", facts(rows, "details"),
        tag("h3", "Limits", class_="apart"), bullets(words.limits(analysis), "reasons"),
    )  # fmt: skip


def _figure(title: str, value: str, more: str) -> Markup:
    return tag("div", tag("h3", title), tag("b", value), tag("p", more, class_="small"),
               class_="box")  # fmt: skip


def _corrected(analysis: Analysis) -> str:
    found = analysis.power
    if found.comparisons < 2 or found.smallest_corrected is None:
        return ""
    return (f"; after correction over {found.comparisons} pairs it takes "
            f"{words.number(analysis, found.smallest_corrected)}")  # fmt: skip


def _needs(analysis: Analysis) -> Markup | None:
    needs = analysis.power.needs
    if not needs:
        return None
    items = list(needs[0].raters)
    rows: list[tuple[Child, list[Child]]] = [
        (
            words.number(analysis, one.difference),
            [
                *(
                    "no number"
                    if (count := one.raters[size]) is None
                    else f"{count:,}".replace(",", " ")
                    for size in items
                ),
                f"{one.independent:,}".replace(",", " "),
            ],
        )
        for one in needs
    ]
    columns = [
        Column("To show a difference of", number=False),
        *(Column(f"Raters, {words.many(size, 'item')}") for size in items),
        Column("Votes a system", hint="were they independent"),
    ]
    each = analysis.power.votes / max(1, analysis.power.raters)
    return tag(
        "div",
        table("What smaller differences take", columns, rows),
        note(f"For a single pair by itself, in {words.percent(analysis.power.power)} of tests, "
             f"each rater giving {each:.1f} votes to each system, as here."),
    )  # fmt: skip


def _consent(bundle: Mapping[str, Any]) -> str:
    template = _of(bundle, "consent", "template")
    if template is None:
        return "not recorded"
    return "the package's rehearsal text, not the study's" if template else "the study's own text"


def _audio(bundle: Mapping[str, Any]) -> str:
    audio = bundle.get("audio", {})
    loudness, silence = audio.get("loudness", {}), audio.get("silence", {})
    parts = []
    if "sample_rate_hz" in audio:
        parts.append(f"{audio['sample_rate_hz'] / 1000:g} kHz {audio.get('format', '')}")
    if loudness.get("normalised"):
        parts.append(f"loudness {loudness.get('target_lufs'):g} LUFS".replace("-", "−"))
    else:
        parts.append("loudness not normalised")
    parts.append("silence equalised" if silence.get("equalised") else "silence as it was")
    return ", ".join(parts)


def _testset(bundle: Mapping[str, Any]) -> Child:
    run = bundle.get("run", {})
    return [str(run.get("testset", words.DASH)), " ", tag("code", str(run.get("sha256", "")))]


def _of(bundle: Mapping[str, Any], section: str, name: str) -> object:
    return bundle.get(section, {}).get(name)


def _rule(value: object) -> str:
    if value is None or value is False:
        return "off"
    return "on" if value is True else f"{value:g}".replace("-", "−")
