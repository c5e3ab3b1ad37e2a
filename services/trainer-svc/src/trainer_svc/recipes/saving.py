"""The finished adapter or model: what was learned, marked, described and signed; whole under its name, or absent."""

import shutil
from pathlib import Path

from peft import LoraConfig, PeftModel
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase, Trainer

from trainer_svc.recipes.card import CardFacts
from trainer_svc.recipes.checkpoints import folder_of
from trainer_svc.recipes.distributed import save_from_checkpoint
from trainer_svc.recipes.finishing import finish
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.sharding import is_in_shards


def save_finished(
    job: JobFile, trainer: Trainer, *, tokenizer: PreTrainedTokenizerBase, best_step: int | None, facts: CardFacts
) -> None:
    """Writes the job's output folder. To be called by one process.

    Args:
        best_step: Step whose checkpoint is the result; None for the model as it is.
    """
    target = job.output_dir
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    step = trainer.state.global_step if best_step is None else best_step
    checkpoint = folder_of(job.checkpoint_dir, step)
    model = trainer.accelerator.unwrap_model(trainer.model)
    assert isinstance(model, PreTrainedModel | PeftModel)
    if is_in_shards(job):
        save_from_checkpoint(checkpoint, partial)
    elif isinstance(model, PeftModel):
        _save_adapter(model, partial, None if step == trainer.state.global_step else checkpoint)
    else:
        if step != trainer.state.global_step:
            model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=model.dtype)
        model.save_pretrained(partial)
    if job.method == "full":
        tokenizer.save_pretrained(partial)
    finish(partial, job, facts)
    partial.replace(target)


def _save_adapter(model: PeftModel, folder: Path, best: Path | None) -> None:
    if best is not None:
        model.load_adapter(str(best), "default")
    adapter = model.peft_config["default"]
    assert isinstance(adapter, LoraConfig)
    assert adapter.target_modules is not None
    # a set's order differs from process to process, and the folder is named by its content
    adapter.target_modules = sorted(adapter.target_modules)
    model.save_pretrained(str(folder))
