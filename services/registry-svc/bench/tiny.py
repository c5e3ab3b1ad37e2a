# ruff: noqa: INP001 - beside scripts, no package
"""A random model so small that vLLM answers fifty requests a second on two shared cores, and random adapters of it."""

import io
import sys
import tarfile
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

_RANK = 8
_END = "<end>"
_TEMPLATE = "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}"


def make_base(folder: Path) -> Path:
    """Writes two layers of width 64 with a tokenizer of bytes: of a larger vocabulary sampling takes most of the time."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {word: number for number, word in enumerate((_END, *alphabet))}
    letters = Tokenizer(models.BPE(vocab=words, merges=[]))
    letters.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=letters, eos_token=_END, bos_token=_END, chat_template=_TEMPLATE
    )
    torch.manual_seed(17)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, head_dim=32, max_position_embeddings=1024, tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def adapter_tar(base: Path, folder: Path, *, seed: int) -> bytes:
    """A tar of an adapter that changes answers, as trainer-svc packs them."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM.from_pretrained(base)
    targets = ["q_proj", "v_proj"]
    lora = LoraConfig(r=_RANK, lora_alpha=16, target_modules=targets, init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(model, lora).save_pretrained(folder)
    return tar_of(folder, "adapter_config.json", "adapter_model.safetensors")


def tar_of(folder: Path, *names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            archive.add(folder / name, arcname=name)
    return buffer.getvalue()


def main() -> None:
    """Usage: tiny.py FOLDER; writes `base`, it as a tar, and two adapters."""
    folder = Path(sys.argv[1])
    base = make_base(folder / "base")
    (folder / "whole.tar").write_bytes(tar_of(base, *sorted(path.name for path in base.iterdir())))
    for number in (1, 2):
        (folder / f"{number}.tar").write_bytes(adapter_tar(base, folder / f"adapter-{number}", seed=number))


if __name__ == "__main__":
    main()
