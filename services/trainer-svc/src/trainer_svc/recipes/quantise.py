"""A merged model in 4 bits a weight, by GPTQ or AWQ: `python -m trainer_svc.recipes.quantise JOB_FILE`.

Both want llm-compressor, which brings its own pins of transformers and so is no dependency of the trainer: install it
where such jobs shall run. It writes compressed-tensors, which vLLM serves. GPTQ: Frantar et al. 2023; AWQ: Lin et al. 2024.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from loopwright.contracts.jobs import JobKind
from trainer_svc.recipes.card import CardFacts, facts_of
from trainer_svc.recipes.conversations import answered
from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.merge import load_merged
from trainer_svc.recipes.models import load_tokenizer
from trainer_svc.recipes.product import main, say_started
from trainer_svc.recipes.progress import ProgressStream
from trainer_svc.recipes.samples import IMITATION, read_samples

_LIBRARY = "llmcompressor"
_CALIBRATION_SAMPLES = 256
_SYMMETRIC = {JobKind.GPTQ: True, JobKind.AWQ: False}  # as each method is usually served
_GROUPS = (128, 64, 32)  # weights that share a scale; the first that parts the rows of all layers evenly is taken


def quantise(job: JobFile, folder: Path, progress: ProgressStream) -> CardFacts:
    """Writes the quantised model; calibrates on samples of the training split.

    Raises:
        TrainingFailed: the library is not installed, or the job lacks something.
    """
    if job.kind not in _SYMMETRIC:
        reason = f"{job.kind} is no kind of quantisation"
        raise TrainingFailed("training.wrong-kind", reason, advice="ask for gptq or awq")
    if find_spec(_LIBRARY) is None:
        reason = f"{job.kind} needs the library llm-compressor, which is not installed beside the trainer"
        advice = "run the job where the package llmcompressor is installed, or export to gguf with precision q8_0"
        raise TrainingFailed("training.not-installed", reason, advice=advice)
    if job.kind is JobKind.AWQ and not torch.cuda.is_available():
        reason = "AWQ needs a CUDA device: llm-compressor pins the memory that it searches scales in"
        raise TrainingFailed("training.needs-cuda", reason, advice="ask for gptq, or give the job a CUDA slot")
    tokenizer = load_tokenizer(job.base_model)
    calibration = _calibration(job, tokenizer)
    model = load_merged(job).bfloat16()
    say_started(progress, model)
    one_shot = cast("Callable[..., object]", import_module(_LIBRARY).oneshot)
    one_shot(
        model=model,
        tokenizer=tokenizer,
        recipe=_recipe(job.kind, group=_group_of(model)),
        dataset=calibration,
        max_seq_length=job.hyperparameters.max_seq_length,
        num_calibration_samples=len(calibration),
        shuffle_calibration_samples=False,
    )
    # the library replaced the method: this one packs weights and writes their quantisation into the configuration
    model.save_pretrained(str(folder), save_compressed=True)
    tokenizer.save_pretrained(str(folder))
    return facts_of(job).model_copy(update={"measured": {"calibration_samples": len(calibration)}})


def _group_of(model: PreTrainedModel) -> int:
    head = model.get_output_embeddings()
    layers = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear) and layer is not head]
    group = next((size for size in _GROUPS if all(layer.in_features % size == 0 for layer in layers)), None)
    if group is None or not layers:
        reason = (
            f"{type(model).__name__} has no linear layers, or one whose rows do not part into groups of {_GROUPS[-1]}"
        )
        raise TrainingFailed("training.not-quantisable", reason, advice="export to gguf instead")
    return group


def _recipe(kind: JobKind, *, group: int) -> list[object]:
    """Modifiers of llm-compressor 0.14: all linear layers but the output head."""
    weights = {
        "num_bits": 4, "type": "int", "strategy": "group", "group_size": group, "symmetric": _SYMMETRIC[kind],
    }  # fmt: skip
    choice = {"config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}}, "ignore": ["lm_head"]}
    if kind is JobKind.GPTQ:
        return [import_module(f"{_LIBRARY}.modifiers.gptq").GPTQModifier(**choice)]
    scaling = import_module(f"{_LIBRARY}.modifiers.transform.awq").AWQModifier()
    return [scaling, import_module(f"{_LIBRARY}.modifiers.quantization").QuantizationModifier(**choice)]


def _calibration(job: JobFile, tokenizer: PreTrainedTokenizerBase) -> Dataset:
    """Token ids of whole conversations, as the model will see them."""
    samples = [sample for sample in read_samples(job.train_file) if IMITATION.suits(sample)][:_CALIBRATION_SAMPLES]
    if not samples:
        reason = "there are no samples to calibrate on"
        raise TrainingFailed("training.no-data", reason, advice="give the job the dataset version of its adapter")
    rows: list[dict[str, list[int]]] = []
    for row in map(answered, samples):
        turns = cast("list[dict[str, str]]", row["prompt"]) + cast("list[dict[str, str]]", row["completion"])
        ids = cast("list[int]", tokenizer.apply_chat_template(turns, return_dict=False))
        ids = ids[: job.hyperparameters.max_seq_length]
        rows.append({"input_ids": ids, "attention_mask": [1] * len(ids)})
    return Dataset.from_list(rows)


if __name__ == "__main__":
    sys.exit(main(quantise))
