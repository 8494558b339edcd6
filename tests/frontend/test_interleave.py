"""The order of phones and speech, in what is trained and in what is decoded."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval.frontend.interleave import AHEAD, interleave, training_sequence
from mamtra_eval.frontend.phones import END, VOICE_OFFSET
from mamtra_eval.models.config import preset
from mamtra_eval.models.sequences import IGNORE

CONFIG = preset("mini")


def test_an_example_by_hand() -> None:
    t, fill = CONFIG.text_offset, CONFIG.fill
    spoken = interleave(CONFIG, 2, [7, 8, 9, 10])
    voice = t + VOICE_OFFSET + 2
    assert spoken.prompt == [CONFIG.sos, voice, t + 7, t + 8, t + 9, CONFIG.task]
    assert spoken.feed == [t + 10, t + END, t + END]
    ids, targets = training_sequence(CONFIG, spoken, [[1, 2], [3], [], [4]], IGNORE)
    assert ids == [*spoken.prompt, 1, 2, t + 10, 3, t + END, t + END, 4]
    assert targets == [IGNORE] * 5 + [1, 2, fill, 3, fill, fill, 4, CONFIG.eos]


@given(
    st.lists(st.lists(st.integers(0, 4095), max_size=4), min_size=1, max_size=12), st.integers(0, 3)
)
def test_decoding_what_was_trained_feeds_it_all(speech: list[list[int]], voice: int) -> None:
    """A decoder that draws exactly the targets reads exactly the inputs."""
    phones = [index % 128 for index in range(len(speech))]
    spoken = interleave(CONFIG, voice, phones)
    ids, targets = training_sequence(CONFIG, spoken, speech, IGNORE)
    drawn = [target for target in targets if target != IGNORE]
    assert drawn.count(CONFIG.fill) == len(spoken.feed) == len(phones) - 1
    feed = iter(spoken.feed)
    read = [next(feed) if token == CONFIG.fill else token for token in drawn[:-1]]
    assert ids == [*spoken.prompt, *read]
    assert [t for t in drawn[:-1] if t != CONFIG.fill] == [*itertools.chain(*speech)]
    assert len(spoken.prompt) == AHEAD + 4
