"""What a decoder costs by closed form: parameters, bytes and floating-point operations.

Everything follows from a ``DecoderConfig``, for any sizes and any layout, without building the
network. One multiplication with its addition is 2 FLOP. Matrix products, attention scores, the
Mamba-2 scan and its convolution are counted; norms, rotary positions, softmax, activations, biases
and look-ups are not. Per layer, with ``i`` the inner width, ``H`` heads of size ``P`` (which is
also the state size N), and ``Q`` tokens a chunk:

- attention, one token of context L: 2 x its weights + 4 i L; a pass over L tokens has
  4 i L (L + 1) / 2 if causal and 4 i L^2 if the whole matrix is counted;
- Mamba-2, one token: 2 x its weights + 2 x taps x channels of the convolution + the scan, which is
  H (5 P N + 2 P) in decoding and H (2 Q (N + P) + 4 N P) in a pass.

A pass counts whole chunks' blocks (the triangle of a chunk would be half of its first term), and
the head once, at the last position. Which of that is counted is a ``Convention``; published counts
differ in it, and so by up to a fifth, so it belongs next to every number.

Bytes are those of the tensors themselves, without allocator, activations or context of a device.
Quantised weights (``quantize``) have, for a matrix of R rows and C columns, R C + 2 R bytes at 8
bits (an fp16 step a row) and R ceil(C / 2) + 2 R ceil(C / 128) at 4 bits (a step a group).
At which context a Mamba-2 layer becomes cheaper than a Transformer layer: ``breakeven``.
"""

from __future__ import annotations

from dataclasses import dataclass

from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.models.config import N_SPECIAL, DecoderConfig

ELEMENT_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2}
"""Bytes of an element by the name of its type."""

DUMMY_BYTES = 8
"""Per token and Mamba-2 layer in the authors' cache: a key and a value of one fp32 element each,
which keep its length right (arXiv 2408.15237's code does so, the paper's Figure 5 shows it)."""

GROUP = 128
"""Columns of a row that share a step in weights of 4 bits."""

BITS = (4, 8)
"""Of a quantised weight."""


@dataclass(frozen=True)
class Convention:
    """What a count of FLOP holds.

    Attributes:
        attention: ``causal`` counts the scores that are used, ``full`` the whole matrix of a pass.
        scan: whether the Mamba-2 scan and convolution count; counting tools miss fused kernels.
        head: whether the speech head counts, once per token or pass.
    """

    attention: str = "causal"
    scan: bool = True
    head: bool = True

    def __post_init__(self) -> None:
        if self.attention not in ("causal", "full"):
            raise unknown_name("way to count attention", self.attention, ("causal", "full"))

    def __str__(self) -> str:
        scan, head = ("in" if counted else "out" for counted in (self.scan, self.head))
        return f"{self.attention} attention, scan and convolution {scan}, head {head}"


TOOLS = Convention(attention="full", scan=False, head=False)
"""What common FLOP counters see of a network with fused kernels."""


def element_bytes(name: str) -> int:
    """Bytes of an element of a type; UserError for an unknown one."""
    if name not in ELEMENT_BYTES:
        raise unknown_name("type of elements", name, ELEMENT_BYTES)
    return ELEMENT_BYTES[name]


def attention_weights(config: DecoderConfig) -> int:
    """Elements of the matrices of one attention: q, k, v, o."""
    return 2 * config.hidden * (config.inner + config.kv_inner)


def mamba_input_width(config: DecoderConfig) -> int:
    """Outputs of a Mamba-2 mixer's input projection: z, x, B, C and dt."""
    return 2 * config.inner + 2 * config.kv_inner + config.heads


def mamba_weights(config: DecoderConfig) -> int:
    """Elements of the matrices of one Mamba-2 mixer: its projections in and out."""
    return config.hidden * (mamba_input_width(config) + config.inner)


def attention_parameters(config: DecoderConfig) -> int:
    """Of one attention; q, k and v have biases."""
    return attention_weights(config) + config.inner + 2 * config.kv_inner


def mamba_parameters(config: DecoderConfig) -> int:
    """Of one Mamba-2 mixer: projections, convolution, dt bias, A and D per head, gated norm."""
    bias = mamba_input_width(config) if config.mixer_bias else 0
    convolution = config.conv_channels * (config.conv_width + 1)
    return mamba_weights(config) + bias + convolution + 3 * config.heads + config.inner


def parameters(config: DecoderConfig) -> dict[str, int]:
    """Parameters by part, and their ``total``."""
    parts = {
        "text_embedding": config.text_vocabulary * config.hidden,
        "speech_embedding": config.speech_rows * config.hidden,
        "special_embedding": N_SPECIAL * config.hidden,
        "attention": len(config.transformer) * attention_parameters(config),
        "mamba": len(config.mamba) * mamba_parameters(config),
        "mlp": config.layers * _mlp_weights(config),
        "norms": (2 * config.layers + 1) * config.hidden,
        "head": config.speech_rows * (config.hidden + 1),
    }
    return {**parts, "total": sum(parts.values())}


def check_bits(bits: int) -> int:
    """The bits of a quantised weight again; UserError unless 4 or 8."""
    if type(bits) is not int or bits not in BITS:
        raise UserError(f"weights can be quantised to 4 or 8 bits, not to {bits!r}")
    return bits


def quantized_matrix_bytes(rows: int, columns: int, bits: int) -> int:
    """Values and fp16 steps of one quantised matrix, (rows, columns) as (outputs, inputs)."""
    if check_bits(bits) == 8:
        return rows * (columns + 2)
    return rows * (-(-columns // 2) + 2 * -(-columns // GROUP))


def quantized_weight_bytes(config: DecoderConfig, bits: int, element_bytes: int = 2) -> int:
    """All weights of a decoder whose layers' matrices are quantised.

    Args:
        config: the decoder's shape.
        bits: 8 or 4, of the matrices of mixers and MLPs.
        element_bytes: of everything else: embeddings, head, norms, biases, convolutions.
    """
    attention, mamba = len(config.transformer), len(config.mamba)
    matrices = [
        (attention, config.inner + 2 * config.kv_inner, config.hidden),
        (mamba, mamba_input_width(config), config.hidden),
        (config.layers, config.hidden, config.inner),
        (config.layers, 2 * config.mlp, config.hidden),
        (config.layers, config.hidden, config.mlp),
    ]
    packed = sum(
        count * quantized_matrix_bytes(rows, columns, bits) for count, rows, columns in matrices
    )
    plain = parameters(config)["total"] - sum(
        count * rows * columns for count, rows, columns in matrices
    )
    return packed + plain * element_bytes


def kv_bytes(config: DecoderConfig, context: int, element_bytes: int = 2) -> int:
    """Keys and values of one sequence of ``context`` tokens."""
    return len(config.transformer) * _tokens(context) * kv_elements(config) * element_bytes


def kv_elements(config: DecoderConfig) -> int:
    """Elements of one token's key and value in one Transformer layer."""
    return 2 * config.kv_inner


def state_bytes(config: DecoderConfig, element_bytes: int = 2) -> int:
    """Scan and convolution state of one sequence, whatever its length."""
    return len(config.mamba) * state_elements(config) * element_bytes


def state_elements(config: DecoderConfig) -> int:
    """Elements of the state of one Mamba-2 layer."""
    return config.inner * config.head_dim + config.conv_channels * config.conv_width


def authors_cache_bytes(config: DecoderConfig, context: int) -> int:
    """The cache as the paper measured it (Figure 5): all fp32, with the dummy entries."""
    dummies = len(config.mamba) * DUMMY_BYTES * _tokens(context)
    return kv_bytes(config, context, 4) + state_bytes(config, 4) + dummies


def flops_per_token(
    config: DecoderConfig, context: int, convention: Convention | None = None
) -> int:
    """FLOP of decoding one token that attends to ``context`` tokens, itself among them."""
    convention = convention or Convention()
    layers = len(config.transformer) * attention_token_flops(config, _tokens(context))
    layers += len(config.mamba) * mamba_token_flops(config, convention)
    return layers + config.layers * 2 * _mlp_weights(config) + _head_flops(config, convention)


def flops_per_pass(config: DecoderConfig, length: int, convention: Convention | None = None) -> int:
    """FLOP of one parallel pass over ``length`` tokens that scores the last one."""
    convention = convention or Convention()
    layers = len(config.transformer) * attention_pass_flops(config, _tokens(length), convention)
    layers += len(config.mamba) * length * mamba_pass_flops(config, convention)
    mlp = config.layers * length * 2 * _mlp_weights(config)
    return layers + mlp + _head_flops(config, convention)


def attention_token_flops(config: DecoderConfig, context: int) -> int:
    """Of one attention at one token of decoding."""
    return 2 * attention_weights(config) + 4 * config.inner * context


def attention_pass_flops(config: DecoderConfig, length: int, convention: Convention) -> int:
    """Of one attention over a pass."""
    causal = convention.attention == "causal"
    pairs = length * (length + 1) // 2 if causal else length**2
    return 2 * attention_weights(config) * length + 4 * config.inner * pairs


def mamba_token_flops(config: DecoderConfig, convention: Convention) -> int:
    """Of one Mamba-2 mixer at one token of decoding."""
    scan = config.inner * (5 * config.head_dim + 2)
    return 2 * mamba_weights(config) + (scan + _conv_flops(config) if convention.scan else 0)


def mamba_pass_flops(
    config: DecoderConfig, convention: Convention, half_block: bool = False
) -> int:
    """Of one Mamba-2 mixer per token of a pass.

    Args:
        config: the decoder's shape.
        convention: what counts.
        half_block: count only the causal half of each chunk's matrix C B^T.
    """
    size = config.head_dim  # of the state, N, as of the head, P
    within = 2 * config.chunk * (size + size) // (2 if half_block else 1)  # C B^T, and it times x
    across = 4 * size * size  # into the chunk's state and out of the last one's
    scan = config.heads * (within + across)
    return 2 * mamba_weights(config) + (scan + _conv_flops(config) if convention.scan else 0)


def _conv_flops(config: DecoderConfig) -> int:
    return 2 * config.conv_width * config.conv_channels


def _mlp_weights(config: DecoderConfig) -> int:
    return 3 * config.hidden * config.mlp


def _head_flops(config: DecoderConfig, convention: Convention) -> int:
    return 2 * config.speech_rows * config.hidden if convention.head else 0


def _tokens(context: int) -> int:
    if context < 1:
        raise UserError(f"a context has at least one token, not {context}")
    return context
