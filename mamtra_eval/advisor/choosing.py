"""Which variants an advice is about: one shape, in several layouts and with several bits.

Written variants are taken as they are. Without any, the default ones of CosyVoice 2's shape stand
if the run's profile has a system of that shape, or if there is no profile: a profile is matched to
them by layout, whatever its names. Else the run's systems are the variants. All else of a speech
stack that the budget has (flow decoder, HiFT, front end and what they need to work) stays CosyVoice
2's, whatever the decoder.
"""

from __future__ import annotations

from collections.abc import Sequence

from mamtra_eval.advisor.deployment import (
    DEFAULT_VARIANTS,
    SHAPE,
    Variant,
    check_one_shape,
    parse_variants,
    same_sizes,
    told_shape,
)
from mamtra_eval.advisor.measured import Profile
from mamtra_eval.errors import UserError
from mamtra_eval.models.config import preset


def choose(texts: Sequence[str], profile: Profile) -> tuple[list[Variant], list[str]]:
    """The variants of an advice, and notes on their choice.

    Args:
        texts: as they are written (``deployment.parse_variants``); none for the default.
        profile: of a run; an empty one without a run.

    Raises:
        UserError: a text is no variant, or there are several shapes to choose from.
    """
    systems = profile.systems()
    if texts:
        found = parse_variants(texts, systems)
        return found, _of_the_stack(found)
    own = {name for name, one in systems.items() if same_sizes(one.config, preset(SHAPE))}
    if own or not systems:
        others = [name for name in systems if name not in own]
        left = [
            f"Systems of the run with another shape than CosyVoice 2's are left out: "
            f"{', '.join(others)}. Name them with --variant to have them instead."
        ]
        return parse_variants(DEFAULT_VARIANTS), left if others else []
    try:
        found = list(systems.values())
        check_one_shape(found)
    except UserError as error:
        raise UserError(
            f"the run's systems are no CosyVoice 2, and {error.what}",
            where="--run",
            fix="Choose systems of one shape with --variant.",
        ) from error
    note = (
        f"The run's systems are no CosyVoice 2 ({told_shape(found[0].config)}): the variants are "
        f"these systems ({', '.join(one.name for one in found)}), not the default ones."
    )
    return found, [note, *_of_the_stack(found)]


def _of_the_stack(variants: Sequence[Variant]) -> list[str]:
    """What to know where the decoder is another than the one that the other terms belong to."""
    shape = variants[0].config
    if same_sizes(shape, preset(SHAPE)):
        return []
    return [
        f"The decoder has {told_shape(shape)}; flow decoder, HiFT vocoder, front end, their "
        "activations and the length of the first chunk are CosyVoice 2's all the same. With "
        "another vocoder or front end the totals are other ones."
    ]
