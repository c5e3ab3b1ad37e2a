"""Base model plus adapter as one model: `python -m trainer_svc.recipes.merge JOB_FILE`."""

import sys
from pathlib import Path

import torch
from peft import PeftModel
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from trainer_svc.recipes.card import CardFacts, facts_of
from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.models import load_tokenizer
from trainer_svc.recipes.product import main, save_whole, say_started
from trainer_svc.recipes.progress import ProgressStream


def load_merged(job: JobFile) -> PreTrainedModel:
    """The job's base model with its adapter added, float32; the base model as it is, if the job names no adapter.

    Sums in float32, so that there is one rounding only, when it is saved.

    Raises:
        TrainingFailed: a folder holds no such thing, or the sum is not finite.
    """
    try:
        base: PreTrainedModel = AutoModelForCausalLM.from_pretrained(job.base_model, dtype=torch.float32)
    except (OSError, ValueError) as error:
        reason = f"the base model in {job.base_model} cannot be loaded: {str(error)[:200]}"
        advice = "check TRAINER_BASE_MODELS and the model folder"
        raise TrainingFailed("training.no-base-model", reason, advice=advice) from error
    if job.source_adapter is None:
        return base.eval()
    try:
        merged = PeftModel.from_pretrained(base, str(job.source_adapter)).merge_and_unload(safe_merge=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = f"the adapter cannot be merged into {job.base_model.name}: {str(error)[:200]}"
        advice = "merge an adapter into the very base model that it was trained on"
        raise TrainingFailed("training.no-merge", reason, advice=advice) from error
    assert isinstance(merged, PreTrainedModel)
    return merged.eval()


def stored_dtype(folder: Path) -> torch.dtype:
    """Precision that a model folder says its weights have; float32 if it says nothing."""
    dtype = AutoConfig.from_pretrained(folder).dtype
    return dtype if isinstance(dtype, torch.dtype) else torch.float32


def merge(job: JobFile, folder: Path, progress: ProgressStream) -> CardFacts:
    """Writes base plus adapter in the base model's precision.

    Raises:
        TrainingFailed: they do not belong together.
    """
    if job.source_adapter is None:
        reason = "the job names no adapter to merge"
        raise TrainingFailed("training.no-adapter", reason, advice="name the training job whose adapter it is")
    tokenizer = load_tokenizer(job.base_model)
    model = load_merged(job)
    say_started(progress, model)
    save_whole(model, tokenizer, folder, dtype=stored_dtype(job.base_model))
    return facts_of(job)


if __name__ == "__main__":
    sys.exit(main(merge))
