"""A language model small enough to train in a test: random weights, a tokenizer made on the spot, a chat template."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests share builders, and are no package

TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}> {{ message['content'] }} <end> {% endfor %}"
    "{% if add_generation_prompt %}<assistant> {% endif %}"
)
TEXT = "say whether this line is an alert or normal disk full fan ok link down up boot done error retry"
WORDS = TEXT.split()
SampleWriter = Callable[[Path, int], Path]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a two-layer Llama of about 20,000 parameters."""
    # imports of ten seconds, which tests without a model should not pay
    import torch  # noqa: PLC0415
    from tokenizers import Tokenizer  # noqa: PLC0415
    from tokenizers.models import WordLevel  # noqa: PLC0415
    from tokenizers.pre_tokenizers import WhitespaceSplit  # noqa: PLC0415
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("tiny-model")
    special = ["<pad>", "<unk>", "<end>", "<system>", "<user>", "<assistant>"]
    vocabulary = {word: index for index, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", eos_token="<end>", chat_template=TEMPLATE
    )
    fast.save_pretrained(folder)
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,  # a random head at the usual 0.02 can hardly tell tokens apart
        pad_token_id=0,
        eos_token_id=2,
        bos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def write_samples() -> SampleWriter:
    """Function that writes `count` samples of differing length to a file."""
    return _write_samples


def _write_samples(path: Path, count: int) -> Path:
    lines = [json.dumps({"sample_id": f"s{index}", "messages": _messages(index)}) for index in range(count)]
    path.write_text("\n".join(lines) + "\n")
    return path


def _messages(index: int) -> Sequence[dict[str, str]]:
    length = 2 + index % 5
    words = [WORDS[(index * 7 + at) % len(WORDS)] for at in range(length)]
    return [
        {"role": "system", "content": "say whether this line is an alert or normal"},
        {"role": "user", "content": " ".join(words)},
        {"role": "assistant", "content": "alert" if index % 3 == 0 else "normal"},
    ]
