"""A merged model as one GGUF file, for llama.cpp and what builds on it: `python -m trainer_svc.recipes.gguf JOB_FILE`.

Llama's architecture only (SmolLM2 has it), with byte-level BPE: names and order of weights, and how text is split before
it is merged into tokens, are the format's own for every family, and a wrong guess would show only in bad answers.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, cast

import numpy as np
from gguf import MODEL_ARCH, GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType, get_tensor_name_map
from gguf.quants import quantize
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from transformers import (
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

from trainer_svc.recipes.card import CardFacts, facts_of
from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.merge import load_merged
from trainer_svc.recipes.models import load_tokenizer
from trainer_svc.recipes.product import main, say_started
from trainer_svc.recipes.progress import ProgressStream

_STORED = {
    "f16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "bf16": (GGMLQuantizationType.BF16, LlamaFileType.MOSTLY_BF16),
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
}
_Q8_0_BLOCK = 32
_PERMUTED = {"self_attn.q_proj.weight": "num_attention_heads", "self_attn.k_proj.weight": "num_key_value_heads"}


def export(job: JobFile, folder: Path, progress: ProgressStream) -> CardFacts:
    """Writes `model-<precision>.gguf` with tokenizer and chat template.

    Raises:
        TrainingFailed: the format's Llama cannot hold this model or its tokenizer.
    """
    precision = job.hyperparameters.gguf_precision
    tokenizer, model = load_tokenizer(job.base_model), load_merged(job)
    config = _llama(model.config)
    say_started(progress, model)
    writer = GGUFWriter(folder / f"model-{precision}.gguf", "llama", use_temp_file=True)
    try:
        _write_shape(writer, config)
        writer.add_name(job.job_id)
        writer.add_file_type(_STORED[precision][1])
        _write_tokenizer(writer, tokenizer, config.vocab_size)
        for name, values, stored in _tensors(model, config, _STORED[precision][0]):
            writer.add_tensor(name, values, raw_dtype=stored)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    return facts_of(job)


def _llama(config: PreTrainedConfig) -> LlamaConfig:
    advice = "merge the adapter instead: servers that read safetensors take every architecture"
    if not isinstance(config, LlamaConfig):
        reason = f"export to GGUF knows Llama's architecture, not {config.model_type}"
        raise TrainingFailed("training.gguf-architecture", reason, advice=advice)
    rope = config.rope_parameters or {}
    if rope.get("rope_type", "default") != "default" or config.attention_bias or config.mlp_bias:
        reason = "export to GGUF knows Llama without scaled positions and without biases, and this model has some"
        raise TrainingFailed("training.gguf-architecture", reason, advice=advice)
    return config


def _write_shape(writer: GGUFWriter, config: LlamaConfig) -> None:
    rope = config.rope_parameters or {}
    heads = config.num_attention_heads
    head_size = config.head_dim or config.hidden_size // heads
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads or heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(head_size)
    writer.add_key_length(head_size)
    writer.add_value_length(head_size)
    writer.add_rope_freq_base(float(rope.get("rope_theta") or 10_000.0))


def _tensors(
    model: PreTrainedModel, config: LlamaConfig, wanted: GGMLQuantizationType
) -> Iterator[tuple[str, NDArray[np.generic], GGMLQuantizationType]]:
    """Name, bytes and type of each tensor, as the format wants them."""
    names = get_tensor_name_map(MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, weights in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue  # readers take the embeddings when there is no output matrix
        ours = names.get_name(name, try_suffixes=(".weight",))
        if ours is None:
            reason = f"the format has no place for the tensor {name}"
            raise TrainingFailed("training.gguf-architecture", reason, advice="merge the adapter instead")
        values = cast("NDArray[np.float32]", weights.float().numpy())
        for ending, heads in _PERMUTED.items():
            if name.endswith(ending):
                values = _interleaved(values, getattr(config, heads))
        stored = _type_of(values, wanted)
        yield ours, cast("NDArray[np.generic]", quantize(values, stored)), stored


def _type_of(values: NDArray[np.float32], wanted: GGMLQuantizationType) -> GGMLQuantizationType:
    if values.ndim == 1:
        return GGMLQuantizationType.F32  # norms are small and sensitive
    if wanted is GGMLQuantizationType.Q8_0 and values.shape[-1] % _Q8_0_BLOCK:
        return GGMLQuantizationType.F16  # its blocks do not fit
    return wanted


def _interleaved(values: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows of each head as rotary positions in GGUF pair them: neighbours, where transformers pairs the halves."""
    rows, columns = values.shape
    halves = values.reshape(heads, 2, rows // heads // 2, columns)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, columns))


class _Merging(BaseModel):
    """The model part of a BPE tokenizer's own description."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["BPE"]
    merges: list[tuple[str, str]]


class _Description(BaseModel):
    """What of a BPE tokenizer's own description the format needs."""

    model_config = ConfigDict(extra="ignore")

    model: _Merging
    pre_tokenizer: JsonValue


def _write_tokenizer(writer: GGUFWriter, tokenizer: PreTrainedTokenizerBase, size: int) -> None:
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise _unknown_tokenizer()
    try:
        described = _Description.model_validate_json(tokenizer.backend_tokenizer.to_str())
    except ValidationError as error:
        raise _unknown_tokenizer() from error
    tokens, types = _tokens(tokenizer, size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_splitting(described))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([f"{left} {right}" for left, right in described.model.merges])
    for add, token in (
        (writer.add_bos_token_id, tokenizer.bos_token_id),
        (writer.add_eos_token_id, tokenizer.eos_token_id),
        (writer.add_unk_token_id, tokenizer.unk_token_id),
        (writer.add_pad_token_id, tokenizer.pad_token_id),
    ):
        if isinstance(token, int):
            add(token)
    first = cast("list[int]", tokenizer("a")["input_ids"])[0]
    writer.add_add_bos_token(first == tokenizer.bos_token_id)
    template = tokenizer.chat_template
    assert isinstance(template, str)
    writer.add_chat_template(template)


def _tokens(tokenizer: PreTrainedTokenizerFast, size: int) -> tuple[list[str], list[TokenType]]:
    """Every token by its id; rows of the embedding that no token uses get names of their own."""
    named = {index: token for token, index in tokenizer.get_vocab().items()}
    added = tokenizer.added_tokens_decoder
    tokens, types = list[str](), list[TokenType]()
    for index in range(size):
        tokens.append(named.get(index, f"[PAD{index}]"))
        if index not in named:
            types.append(TokenType.UNUSED)
        elif index in added:
            types.append(TokenType.CONTROL if added[index].special else TokenType.USER_DEFINED)
        else:
            types.append(TokenType.NORMAL)
    return tokens, types


def _splitting(described: _Description) -> str:
    """The format's name of how a byte-level tokenizer splits text first."""
    match described.pre_tokenizer:
        case {"type": "ByteLevel", "use_regex": True, "add_prefix_space": False}:
            return "gpt-2"
        case {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Digits", "individual_digits": True},
                {"type": "ByteLevel", "use_regex": True, "add_prefix_space": False},
            ],
        }:
            return "smollm"
        case {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": str(regex)}},
                {"type": "ByteLevel", "use_regex": False},
            ],
        } if regex in GGUF_PRE_TOKENIZER_SPLITS.values():
            return next(name for name, split in GGUF_PRE_TOKENIZER_SPLITS.items() if split == regex)
        case _:
            raise _unknown_tokenizer()


def _unknown_tokenizer() -> TrainingFailed:
    reason = "export to GGUF knows byte-level BPE tokenizers of known families, and this is none"
    return TrainingFailed("training.gguf-tokenizer", reason, advice="merge the adapter instead")


if __name__ == "__main__":
    sys.exit(main(export))
