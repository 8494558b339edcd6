"""Which layers are Transformer layers: the published sets, the rules, rankings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval.errors import UserError
from mamtra_eval.models import layout
from mamtra_eval.models.layout import Ranking, Ratio, transformer_layers

# Layer maps of the project page, mamtratts.github.io, index.html at 612f8f4.
PUBLISHED = {
    "1:1": ("BlockBeg", (0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22)),
    "1:3": ("BlockBeg", (0, 4, 8, 12, 16, 20)),
    "1:5": ("WER", (0, 8, 11, 16)),
    "1:11": ("WER", (0, 16)),
}
UNRANKED = tuple(name for name in layout.PLACEMENTS if name not in ("WER", "Cosine"))

ratios = st.builds(Ratio, st.integers(1, 12), st.integers(0, 12))


@pytest.mark.parametrize("text", PUBLISHED)
def test_the_published_layouts_are_the_project_pages(text: str) -> None:
    placement, expected = PUBLISHED[text]
    ratio = Ratio.parse(text)
    assert transformer_layers(ratio) == expected
    assert layout.published_placement(ratio) == placement
    assert transformer_layers(ratio, 24, placement) == expected
    assert tuple(PUBLISHED) == layout.PUBLISHED_RATIOS


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        ("BlockBeg", (0, 6, 12, 18)),
        ("BlockEnd", (5, 11, 17, 23)),
        ("Front", (0, 1, 2, 3)),
        ("Back", (20, 21, 22, 23)),
        ("Middle", (10, 11, 12, 13)),
        ("Sandwich", (0, 1, 22, 23)),
    ],
)
@pytest.mark.parametrize("spelt", [str, str.lower, str.upper])
def test_placements_by_hand_at_one_in_six(
    placement: str, expected: tuple[int, ...], spelt: Any
) -> None:
    assert transformer_layers(Ratio(1, 5), 24, spelt(placement)) == expected


def test_odd_numbers_lean_to_the_front() -> None:
    assert transformer_layers(Ratio(1, 2), 9, "Sandwich") == (0, 1, 8)
    assert transformer_layers(Ratio(1, 2), 12, "Middle") == (4, 5, 6, 7)
    assert transformer_layers(Ratio(3, 5), 8, "BlockBeg") == (0, 2, 5)
    assert transformer_layers(Ratio(3, 5), 8, "BlockEnd") == (1, 4, 7)


def test_other_depths_and_ratios_are_block_begin() -> None:
    assert transformer_layers(Ratio(1, 5), 12) == (0, 6)
    assert transformer_layers(Ratio(1, 2)) == (0, 3, 6, 9, 12, 15, 18, 21)
    assert layout.published_placement(Ratio(1, 5), 12) == "BlockBeg"


@given(ratios, st.integers(1, 4), st.sampled_from(UNRANKED))
def test_every_placement_keeps_as_many_as_the_ratio_says(
    ratio: Ratio, times: int, placement: str
) -> None:
    layers = times * (ratio.transformer + ratio.mamba)
    kept = transformer_layers(ratio, layers, placement)
    assert len(kept) == layout.n_transformer(ratio, layers) == times * ratio.transformer
    assert list(kept) == sorted(set(kept))
    assert all(0 <= index < layers for index in kept)
    found = layout.ratio_of(kept, layers)
    assert found.transformer * ratio.mamba == found.mamba * ratio.transformer


@given(ratios, st.integers(1, 4))
def test_mirror_images(ratio: Ratio, times: int) -> None:
    layers = times * (ratio.transformer + ratio.mamba)
    front = transformer_layers(ratio, layers, "Front")
    back = transformer_layers(ratio, layers, "Back")
    assert back == tuple(sorted(layers - 1 - index for index in front))


@pytest.mark.parametrize("placement", [None, *layout.PLACEMENTS])
@pytest.mark.parametrize("layers", [2, 4, 24])
def test_teacher_and_pure_mamba_need_no_placement(placement: str | None, layers: int) -> None:
    assert transformer_layers(Ratio(1, 0), layers, placement) == tuple(range(layers))
    assert transformer_layers(Ratio(0, 1), layers, placement) == ()


@given(st.permutations(range(12)), st.sampled_from(["WER", "cosine"]))
def test_ranked_placements_take_the_first_and_are_nested(order: list[int], name: str) -> None:
    few = transformer_layers(Ratio(1, 5), 12, name, order)
    many = transformer_layers(Ratio(1, 2), 12, name, order)
    assert few == tuple(sorted(order[:2]))
    assert set(few) < set(many)


def test_a_given_ranking_goes_before_the_published_set() -> None:
    assert transformer_layers(Ratio(1, 11), 24, "WER", list(range(24))) == (0, 1)
    assert transformer_layers(Ratio(1, 11), 24, None, Ranking(range(24), "CE")) == (0, 1)
    with pytest.raises(UserError, match="needs a placement"):
        transformer_layers(Ratio(1, 11), 24, None, list(range(24)))


@pytest.mark.parametrize(("name", "text"), [("WER", "1:3"), ("Cosine", "1:5"), ("Cosine", "1:1")])
def test_a_missing_ranking_is_asked_for(name: str, text: str) -> None:
    with pytest.raises(UserError, match=r"needs a measured ranking.*mamtra-eval rank-layers"):
        transformer_layers(Ratio.parse(text), 24, name)


@pytest.mark.parametrize("order", [[0, 1, 2], [0, 1, 2, 2], [1, 2, 3, 4], [0, 1, 2, True]])
def test_a_ranking_ranks_each_layer_once(order: list[int]) -> None:
    with pytest.raises(UserError, match="names each index from 0 to 3 once"):
        transformer_layers(Ratio(1, 1), 4, "WER", order)


@pytest.mark.parametrize(
    "text", ["", "1", "1:", ":5", "1:2:3", "a:b", "-1:5", "1:-5", "1.5:1", "0:0", "1/5", "²:1"]
)
def test_nonsense_is_no_ratio(text: str) -> None:
    with pytest.raises(UserError, match=r"is no ratio of layers.*Give Transformer:Mamba"):
        Ratio.parse(text)


@given(st.integers(0, 99), st.integers(1, 99))
def test_ratios_read_back(transformer: int, mamba: int) -> None:
    assert Ratio.parse(str(Ratio(transformer, mamba))) == Ratio(transformer, mamba)


def test_a_ratio_that_does_not_fit_says_which_do() -> None:
    with pytest.raises(UserError, match=r"24 layers can't be split 1:4.*1:0, 1:1, .*1:11, 1:23"):
        layout.n_transformer(Ratio(1, 4), 24)
    with pytest.raises(UserError, match="1 to 10000 layers, not 0"):
        layout.n_transformer(Ratio(1, 1), 0)


def test_an_unknown_placement_is_refused() -> None:
    with pytest.raises(UserError, match=r"no placement named 'Sandwhich'\. Did you mean Sandwich"):
        transformer_layers(Ratio(1, 1), 24, "Sandwhich")


def test_explicit_layouts() -> None:
    assert layout.parse_explicit("0,8,11,16", 24) == (0, 8, 11, 16)
    assert layout.parse_explicit(" 3 ", 4) == (3,)
    for text in ("", "0,24", "8,0", "0,0", "0,,1", "a", "-1", "0;8"):
        with pytest.raises(UserError, match="is no set of layers of 24"):
            layout.parse_explicit(text, 24)


def _file(folder: Path, **changed: object) -> Path:
    values = {"kind": "WER", "layers": 4, "ranking": [2, 0, 3, 1], "seed": 0, **changed}
    path = folder / "ranking.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def test_a_ranking_file_is_read(tmp_path: Path) -> None:
    ranking = layout.ranking_from_file(_file(tmp_path))
    assert (ranking, ranking.kind) == ((2, 0, 3, 1), "WER")
    assert transformer_layers(Ratio(1, 1), 4, "WER", ranking) == (0, 2)


def test_the_kind_of_a_ranking_must_serve_the_placement(tmp_path: Path) -> None:
    entropy = layout.ranking_from_file(_file(tmp_path, kind="CE"))
    assert transformer_layers(Ratio(1, 3), 4, "wer", entropy) == (2,)
    with pytest.raises(UserError, match=r"kind CE does not say where Cosine.*placement WER"):
        transformer_layers(Ratio(1, 3), 4, "Cosine", entropy)
    assert transformer_layers(Ratio(1, 3), 4, "Cosine", Ranking((3, 2, 1, 0), "Cosine")) == (3,)


@pytest.mark.parametrize(
    "changed",
    [{"kind": "Loss"}, {"kind": []}, {"layers": 5}, {"layers": "4"}, {"layers": None},
     {"ranking": [0, 1, 2, 2]}, {"ranking": "0123"}, {"ranking": None},
     {"ranking": [0, 1, 2.0, 3]}],
)  # fmt: skip
def test_a_broken_ranking_file_is_named(changed: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ranking\.json: "):
        layout.ranking_from_file(_file(tmp_path, **changed))


@pytest.mark.parametrize("text", ["", "[]", "{}", "no json", "7"])
def test_another_file_is_no_ranking(text: str, tmp_path: Path) -> None:
    path = tmp_path / "ranking.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"ranking\.json: no ranking of layers"):
        layout.ranking_from_file(path)
    with pytest.raises(UserError, match="can't be read"):
        layout.ranking_from_file(tmp_path / "absent.json")


def test_layouts_and_costs_need_no_torch() -> None:
    script = (
        "import sys; from mamtra_eval.cli import app, cost, layouts\n"
        "from mamtra_eval.models import breakeven, cost, layout\n"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60,
                   cwd=Path(__file__).parent.parent.parent)  # fmt: skip
