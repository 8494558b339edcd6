"""``PREREG.md``: what is settled before the first rating, to be registered as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mamtra_eval.listening.screening.rules import RULE_WORDS


def render(manifest: Mapping[str, Any], systems: Sequence[str], raters: int) -> str:
    """``PREREG.md``: design, screening and analysis, before there is a rating.

    Args:
        manifest: of the bundle.
        systems: that are rated.
        raters: that are planned.
    """
    n, kind = manifest["n"], manifest["kind"]
    rules = [
        f"| {RULE_WORDS[name]} (`{name}`) | {_value(value)} |"
        for name, value in manifest["screening"].items()
    ]
    return "\n".join([
        f"# {manifest['title']}: settled before the first rating",
        "",
        f"Bundle `{manifest['bundle_id']}`, content `{manifest['content_sha256']}`, exported "
        f"{manifest['created']} by {manifest['tool']['name']} {manifest['tool']['version']}.",
        "",
        "## Design",
        "",
        f"- Kind: {kind['name']}. Question: “{kind['question']}” ({kind['attribute']})",
        f"- Scale: {_scale(kind['scale'])}",
        f"- {n['systems']} systems ({', '.join(sorted(systems))}); {n['items']} sentences; "
        f"{n['lists']} lists of {n['trials']} trials, {n['rated']} of them "
        "rated. A cyclic Latin square: nobody rates a sentence twice, but for the repeats. "
        "Practice and checks are other sentences.",
        f"- Planned: {raters} sessions. Collecting ends when so many have passed the screening or "
        "when the pay is spent, not by what the ratings say; nothing is unblinded before.",
        f"- Checks of a list: {_checks(manifest['checks'])}",
        f"- Sentences left out, with the reason: {len(manifest['left_out'])} (bundle.json).",
        "",
        "## Screening",
        "",
        "Applied by session, before anything is unblinded. Results are reported with and without. "
        "Checks decide which data are used, never whether somebody is paid.",
        "",
        "| Rule | Value |",
        "| --- | --- |",
        *rules,
        "",
        "## Analysis",
        "",
        *_analysis(manifest),
        "- Scores are not compared with those of other tests.",
        "",
    ])  # fmt: skip


def _analysis(manifest: Mapping[str, Any]) -> list[str]:
    """How the figures are worked out, by kind."""
    analysis, name = manifest["analysis"], manifest["kind"]["name"]
    level, margin = 100 * analysis["level"], analysis["margin"]
    interval = f"the {analysis['interval']} {level:g} % interval (raters and sentences)"
    lines = [
        f"- Headline: the mean of all votes of a system with {interval}. The interval that takes "
        "votes for independent stands beside it, labelled.",
        f"- Check: pigeonhole bootstrap, {analysis['resamples']} resamples, seed "
        f"{analysis['seed']}.",
    ]
    if name in ("cmos", "ab"):
        lines = [
            f"- Headline: the mean advantage of a system over another with {interval}: half the "
            "difference of the means of both orders. Half their sum, the bias of the order, is "
            "told."
        ]
    if name == "ab":
        lines.append(
            "- Strengths of all systems: Bradley–Terry with ties (Davidson) and an effect of the "
            "order. Wins, ties and losses are counted as they were given."
        )
    lines.append(
        "- Pairs of systems: two-way clustered differences; two systems are told apart where p, "
        f"with Holm's correction over all pairs, is below {1 - analysis['level']:g}. Baseline: "
        f"{analysis['baseline'] or 'none'}."
    )
    if margin:
        lines.append(
            f"- Two systems are equivalent where the {2 * level - 100:g} % interval of their "
            f"difference lies within ±{margin:g} (two one-sided tests), each pair by itself."
        )
    else:
        lines.append("- No margin of equivalence is declared: that two systems are equal will not "
                     "be said.")  # fmt: skip
    return lines


def _value(value: float | bool | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "off" if value is None else f"{value:g}"


def _scale(scale: Mapping[str, Any]) -> str:
    labels = ", ".join(f"{value} {words}" for value, words in scale["labels"].items())
    return f"{scale['low']:g} to {scale['high']:g} by {scale['step']:g} ({labels})"


def _checks(checks: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in checks.items()) + "."
