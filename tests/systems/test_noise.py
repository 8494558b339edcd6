"""White noise: the floor."""

from __future__ import annotations

import numpy as np
import pytest

from mamtra_eval import registry
from mamtra_eval.errors import UserError
from mamtra_eval.systems import Request


def test_noise_has_its_level_and_is_its_seeds() -> None:
    noise = registry.create("systems", "noise", {"level_db": "-20"})
    clip = noise.speak(Request("a", "one two three four five", seed=3))
    assert clip.duration_s == pytest.approx(23 / 15, abs=0.01)
    assert 20 * np.log10(np.sqrt(np.mean(clip.samples**2))) == pytest.approx(-20, abs=0.2)
    again = noise.speak(Request("b", "one two three four five", seed=3))
    other = noise.speak(Request("a", "one two three four five", seed=4))
    assert np.array_equal(clip.samples, again.samples)
    assert not np.array_equal(clip.samples, other.samples)


def test_a_level_above_full_scale_is_refused() -> None:
    with pytest.raises(UserError, match="level_db of noise"):
        registry.create("systems", "noise", {"level_db": "3"})
