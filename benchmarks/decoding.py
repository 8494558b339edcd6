"""How fast a decoder generates, beside the transformers package with the same weights.

    nox -s bench -- decoding    or    python benchmarks/decoding.py [--sizes mini] [--batches 1,16]

Both decode greedily from the same prompts to the same number of tokens, prompt included in the
time, in one process: a warm-up of each, in which their tokens are compared, then passes in turns
(ours, theirs, ours, theirs …). Rates are tokens of the whole batch a second: the median of the
passes, with the least and the largest; the ratio is that of the two times within a pass.

transformers runs its own ``generate`` with its default, growing cache and torch's fused attention,
not compiled: a Qwen2 model for the teacher, a Bamba model for the hybrid, whose Mamba-2 mixer is
plain torch on a CPU. Its vocabulary is the speech tokens alone, and ours has no text rows, so that
neither side computes text logits. Both keep eos back up to the last token. A shared x and B are
written out once a head in Bamba, which has no shared ones: its input projection and convolution
compute more numbers for the same function, which is part of the difference.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from _counterparts import counterpart
from _models import TEACHER, build, header, interleaved, name, numbers, prompts, shape, spread

from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.generate import DecodingConfig, Item, generate
from mamtra_eval.models.sampling import SamplerConfig

TOKENS = {"mini": 100, "cosyvoice2": 24}
PASSES = {"mini": 7, "cosyvoice2": 3}
GREEDY = DecodingConfig(SamplerConfig(kind="greedy"))

Work = Callable[[], list[list[int]]]


def models(size: str, ratio: str) -> tuple[Decoder, Any]:
    """Our decoder and transformers' model with the same weights."""
    decoder = build(shape(size, ratio))
    for part, parameter in decoder.named_parameters():
        if part.endswith("qkv.bias") and ratio != TEACHER:
            parameter.zero_()  # Bamba has none
    return decoder, counterpart(decoder)


def ours(decoder: Decoder, prompt: list[list[int]], tokens: int) -> Work:
    """Our ``generate``."""
    items = [Item(one, minimum=tokens, maximum=tokens) for one in prompt]
    return lambda: [made.tokens for made in generate(decoder, items, GREEDY)]


def theirs(model: Any, prompt: list[list[int]], tokens: int) -> Work:  # noqa: ANN401
    """The ``generate`` of transformers."""
    ids = torch.tensor(prompt)
    everything = torch.ones_like(ids)

    def work() -> list[list[int]]:
        made = model.generate(
            ids, attention_mask=everything, do_sample=False, use_cache=True,
            min_new_tokens=tokens, max_new_tokens=tokens,
        )  # fmt: skip
        found: list[list[int]] = made[:, ids.shape[1] :].tolist()
        return found

    return work


def agreement(first: list[list[int]], second: list[list[int]], tokens: int) -> str:
    """How many tokens are the same; both must have as many as was asked for."""
    for made in (*first, *second):
        if len(made) != tokens:
            raise SystemExit(f"{len(made)} tokens were made where {tokens} were asked for")
    pairs = zip(first, second, strict=True)
    same = sum(a == b for one, two in pairs for a, b in zip(one, two, strict=True))
    total = tokens * len(first)
    return f"all {total}" if same == total else f"{same} of {total}"


def row(size: str, ratio: str, pair: tuple[Work, Work], batch: int, tokens: int, n: int) -> str:
    """Compare, then measure: one line of the table."""
    same = agreement(pair[0](), pair[1](), tokens)
    times = interleaved(pair, n)
    rates = batch * tokens / times
    ratios = times[:, 1] / times[:, 0]
    return (
        f"{size:<11} {name(ratio):<11} {batch:>5}  {spread(rates[:, 0]):<22} "
        f"{spread(rates[:, 1]):<22} {spread(ratios):<20} {same}"
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", default="mini,cosyvoice2", help="presets (mini,cosyvoice2)")
    parser.add_argument("--ratios", default="1:0,1:1", help="1:0 is the teacher (1:0,1:1)")
    parser.add_argument("--batches", type=numbers, default=[1, 16], help="batch sizes (1,16)")
    parser.add_argument("--tokens", type=int, help="new tokens an item (mini 100, cosyvoice2 24)")
    parser.add_argument("--prompt", type=int, default=32, help="tokens of a prompt (32)")
    parser.add_argument("--passes", type=int, help="measured passes (mini 7, cosyvoice2 3)")
    return parser.parse_args()


def main() -> None:
    """Print one line per size, model and batch."""
    given = arguments()
    try:
        import transformers
    except ImportError as error:
        raise SystemExit(f"transformers is needed beside ours ({error}): nox -s bench") from None
    print(header(f"transformers {transformers.__version__}"))
    print(
        f"{'size':<11} {'model':<11} batch  {'ours, tok/s':<22} {'transformers, tok/s':<22} "
        f"{'ratio':<20} same tokens"
    )
    notes: dict[str, None] = {}  # an ordered set
    for size in given.sizes.split(","):
        tokens, passes = given.tokens or TOKENS[size], given.passes or PASSES[size]
        for ratio in given.ratios.split(","):
            decoder, model = models(size, ratio)
            attention = model.config._attn_implementation
            theirs_is = f"{type(model).__name__}, attention {attention}"
            notes[f"{name(ratio)}: ours {decoder.kernels.description}; theirs {theirs_is}"] = None
            for batch in given.batches:
                prompt = prompts(decoder.config, batch, given.prompt)
                pair = (ours(decoder, prompt, tokens), theirs(model, prompt, tokens))
                print(row(size, ratio, pair, batch, tokens, passes), flush=True)
    print("\n".join(notes))


if __name__ == "__main__":
    main()
