"""A model folder of CosyVoice 2 in its official layout, small and with random weights.

Run in an environment where CosyVoice's packages are: ``python tiny_cosyvoice.py SOURCE OUT``.
Every file is one that the official loading code reads; widths are reduced where that code allows,
the speech vocabulary, rates and depths of what is counted in tokens are the published ones.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

CONFIGURATION = """
sample_rate: 24000
llm_input_size: 64
llm_output_size: 64
spk_embed_dim: 192
qwen_pretrain_path: ''
token_frame_rate: 25
token_mel_ratio: 2
chunk_size: 25
num_decoding_left_chunks: -1

llm: !new:cosyvoice.llm.llm.Qwen2LM
    llm_input_size: !ref <llm_input_size>
    llm_output_size: !ref <llm_output_size>
    speech_token_size: 6561
    length_normalized_loss: True
    lsm_weight: 0
    mix_ratio: [5, 15]
    llm: !new:cosyvoice.llm.llm.Qwen2Encoder
        pretrain_path: !ref <qwen_pretrain_path>
    sampling: !name:cosyvoice.utils.common.ras_sampling
        top_p: 0.8
        top_k: 25
        win_size: 10
        tau_r: 0.1

flow: !new:cosyvoice.flow.flow.CausalMaskedDiffWithXvec
    input_size: 512
    output_size: 80
    spk_embed_dim: !ref <spk_embed_dim>
    output_type: 'mel'
    vocab_size: 6561
    input_frame_rate: !ref <token_frame_rate>
    only_mask_loss: True
    token_mel_ratio: !ref <token_mel_ratio>
    pre_lookahead_len: 3
    encoder: !new:cosyvoice.transformer.upsample_encoder.UpsampleConformerEncoder
        output_size: 512
        attention_heads: 8
        linear_units: 64
        num_blocks: 1
        dropout_rate: 0.1
        positional_dropout_rate: 0.1
        attention_dropout_rate: 0.1
        normalize_before: True
        input_layer: 'linear'
        pos_enc_layer_type: 'rel_pos_espnet'
        selfattention_layer_type: 'rel_selfattn'
        input_size: 512
        use_cnn_module: False
        macaron_style: False
        static_chunk_size: !ref <chunk_size>
    decoder: !new:cosyvoice.flow.flow_matching.CausalConditionalCFM
        in_channels: 240
        n_spks: 1
        spk_emb_dim: 80
        cfm_params: !new:omegaconf.DictConfig
            content:
                sigma_min: 1e-06
                solver: 'euler'
                t_scheduler: 'cosine'
                training_cfg_rate: 0.2
                inference_cfg_rate: 0.7
                reg_loss_type: 'l1'
        estimator: !new:cosyvoice.flow.decoder.CausalConditionalDecoder
            in_channels: 320
            out_channels: 80
            channels: [32]
            dropout: 0.0
            attention_head_dim: 16
            n_blocks: 1
            num_mid_blocks: 1
            num_heads: 2
            act_fn: 'gelu'
            static_chunk_size: !ref <chunk_size> * <token_mel_ratio>
            num_decoding_left_chunks: !ref <num_decoding_left_chunks>

hift: !new:cosyvoice.hifigan.generator.HiFTGenerator
    in_channels: 80
    base_channels: 32
    nb_harmonics: 8
    sampling_rate: !ref <sample_rate>
    nsf_alpha: 0.1
    nsf_sigma: 0.003
    nsf_voiced_threshold: 10
    upsample_rates: [8, 5, 3]
    upsample_kernel_sizes: [16, 11, 7]
    istft_params:
        n_fft: 16
        hop_len: 4
    resblock_kernel_sizes: [3, 7, 11]
    resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5], [1, 3, 5]]
    source_resblock_kernel_sizes: [7, 7, 11]
    source_resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5], [1, 3, 5]]
    lrelu_slope: 0.1
    audio_limit: 0.99
    f0_predictor: !new:cosyvoice.hifigan.f0_predictor.ConvRNNF0Predictor
        num_class: 1
        in_channels: 80
        cond_channels: 32

get_tokenizer: !name:cosyvoice.tokenizer.tokenizer.get_qwen_tokenizer
    token_path: !ref <qwen_pretrain_path>
    skip_special_tokens: True
allowed_special: 'all'
feat_extractor: !name:matcha.utils.audio.mel_spectrogram
    n_fft: 1920
    num_mels: 80
    sampling_rate: !ref <sample_rate>
    hop_size: 480
    win_size: 1920
    fmin: 0
    fmax: 8000
    center: False

parquet_opener: !name:cosyvoice.dataset.processor.parquet_opener
tokenize: !name:cosyvoice.dataset.processor.tokenize
    get_tokenizer: !ref <get_tokenizer>
    allowed_special: !ref <allowed_special>
data_pipeline: [
    !ref <parquet_opener>,
    !ref <tokenize>,
]
"""
LAYERS, HEADS, KV_HEADS, WIDTH = 24, 4, 2, 64
TEXT_VOCABULARY = 512


def write(source: Path, out: Path, seed: int = 0) -> None:
    """Write all files of the folder; the same ones for the same seed."""
    for path in (source / "third_party/Matcha-TTS", source):
        sys.path.insert(0, str(path))
    import torch
    from hyperpyyaml import load_hyperpyyaml

    out.mkdir(parents=True, exist_ok=True)
    body = out / "CosyVoice-BlankEN"
    _write_body(body, seed)
    (out / "cosyvoice2.yaml").write_text(CONFIGURATION, "utf-8")
    torch.manual_seed(seed)
    without = ("parquet_opener", "tokenize", "data_pipeline")  # training's, with its own packages
    model = "\n\n".join(part for part in CONFIGURATION.split("\n\n")
                       if not part.startswith(without))  # fmt: skip
    made = load_hyperpyyaml(model, overrides={"qwen_pretrain_path": str(body)})
    with torch.no_grad():  # logits of many scales, so that the likeliest token is a clear one
        made["llm"].llm_decoder.weight.mul_(8)
        made["llm"].speech_embedding.weight.mul_(2)
        made["llm"].llm_decoder.bias[6561] += 5  # some texts end by themselves, some do not
    torch.save(made["llm"].state_dict(), out / "llm.pt")
    torch.save(made["flow"].state_dict(), out / "flow.pt")
    torch.save(made["hift"].state_dict(), out / "hift.pt")
    _write_speaker_network(out / "campplus.onnx", seed)
    _write_speech_tokenizer(out / "speech_tokenizer_v2.onnx", seed)


def _write_body(folder: Path, seed: int) -> None:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=TEXT_VOCABULARY, hidden_size=WIDTH, intermediate_size=128,
        num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS,
        max_position_embeddings=32768, rope_theta=1e6, rms_norm_eps=1e-6,
        tie_word_embeddings=True, initializer_range=0.1,
    )  # fmt: skip
    Qwen2ForCausalLM(config).save_pretrained(folder)
    _write_tokenizer(folder)


def _write_tokenizer(folder: Path) -> None:
    """A byte-level vocabulary without merges: every byte of a text is a token."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    names = {byte: chr(byte) for byte in printable}
    names |= {byte: chr(256 + index) for index, byte in enumerate(others)}
    vocabulary = {names[byte]: byte for byte in range(256)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", "utf-8")
    settings = {
        "tokenizer_class": "Qwen2Tokenizer", "unk_token": None, "bos_token": None,
        "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "model_max_length": 32768,
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"], "add_prefix_space": False,
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")


def _write_speaker_network(path: Path, seed: int) -> None:
    """(1, T, 80) features to (1, 192): their mean, projected."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(seed).normal(size=(80, 192)).astype(np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["output"]),
    ]
    _save(
        path, nodes, [numpy_helper.from_array(weights, "weights")],
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["B", "T", 80])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["B", 192])],
    )  # fmt: skip


def _write_speech_tokenizer(path: Path, seed: int) -> None:
    """(1, 128, T) log-mel and its length to T / 4 tokens: the largest of random projections."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(seed + 1).normal(size=(128, 6561)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["feats"], ["slow"], kernel_shape=[4], strides=[4]),
        helper.make_node("Transpose", ["slow"], ["frames"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["frames", "weights"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["ids"], axis=2, keepdims=0),
        helper.make_node("Cast", ["ids"], ["indices"], to=TensorProto.INT32),
        helper.make_node("Identity", ["feats_length"], ["unused"]),
    ]
    _save(
        path, nodes, [numpy_helper.from_array(weights, "weights")],
        [
            helper.make_tensor_value_info("feats", TensorProto.FLOAT, [1, 128, "T"]),
            helper.make_tensor_value_info("feats_length", TensorProto.INT32, [1]),
        ],
        [helper.make_tensor_value_info("indices", TensorProto.INT32, [1, "N"])],
    )  # fmt: skip


def _save(path: Path, nodes: list, weights: list, inputs: list, outputs: list) -> None:
    import onnx
    from onnx import helper

    graph = helper.make_graph(nodes, path.stem, inputs, outputs, initializer=weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, str(path))


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
