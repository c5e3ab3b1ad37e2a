"""Distillation from a larger variant: `python -m trainer_svc.recipes.distill JOB_FILE`.

The student learns to predict at each token of the answers what the teacher predicts there, not only the token that
stands there (arXiv:1503.02531). Both must have one vocabulary.
"""

import sys
from pathlib import Path
from typing import cast

import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase
from trl.trainer.sft_config import SFTConfig

from trainer_svc.recipes.answer_trainer import IGNORED, AnswerTrainer, answer_columns, logits_at
from trainer_svc.recipes.arguments import common_arguments
from trainer_svc.recipes.conversations import answered, as_dataset
from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.models import adapter_config, computing_dtype, load_model, load_tokenizer, load_vocabulary
from trainer_svc.recipes.packs import refuse_packing
from trainer_svc.recipes.running import Lesson, Run, main, read_data
from trainer_svc.recipes.samples import IMITATION

_ADVICE = "name a teacher of the same family as the base model, or let it answer the prompts and use objective sft"


class StudentTrainer(AnswerTrainer):
    """Learns a teacher's predictions, in an order that depends on seed and epoch alone."""

    teacher: torch.nn.Module

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,  # noqa: ARG002, FBT001, FBT002 - TRL's signature
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Mean KL divergence of the student's predictions from the teacher's at the answer tokens, nats."""
        targets, columns = answer_columns(inputs["labels"])
        chosen = targets != IGNORED
        with torch.no_grad():
            taught = logits_at(self.teacher, inputs, columns, share_prefix=True)[chosen].float()  # [tokens, vocabulary]
        predicted = logits_at(model, inputs, columns, share_prefix=self.may_share_prefix)[chosen].float()
        size = min(predicted.shape[-1], taught.shape[-1])  # beyond the vocabulary, heads are padded to round sizes
        predictions = predicted[:, :size].log_softmax(-1)
        loss = functional.kl_div(predictions, taught[:, :size].log_softmax(-1), reduction="sum", log_target=True)
        return self.mean_of(loss, int(chosen.sum()), num_items_in_batch)


def set_up(run: Run) -> Lesson:
    """Loads data, student and teacher.

    Raises:
        TrainingFailed: nothing can be learned, or not from this teacher; says why.
    """
    job = run.job
    refuse_packing(job)
    teacher_folder = _teacher_folder(job)
    splits = read_data(run, use=IMITATION)
    tokenizer = load_tokenizer(job.base_model)
    _refuse_other_vocabulary(tokenizer, teacher_folder)
    trainer = StudentTrainer(
        model=load_model(job),
        args=SFTConfig(**common_arguments(job), completion_only_loss=True),
        train_dataset=as_dataset(splits.train, answered),
        eval_dataset=as_dataset(splits.validation, answered) if splits.validation else None,
        processing_class=tokenizer,
        peft_config=adapter_config(job),
    )
    teacher = cast("torch.nn.Module", AutoModelForCausalLM.from_pretrained(teacher_folder, dtype=computing_dtype()))
    trainer.teacher = teacher.to(trainer.args.device).eval().requires_grad_(False)
    return Lesson(trainer, tokenizer, splits, learned=trainer.samples_left)


def _teacher_folder(job: JobFile) -> Path:
    advice = "set the hyperparameter teacher to a larger base model of TRAINER_BASE_MODELS"
    if job.teacher_model is None:
        raise TrainingFailed("training.no-teacher", "distillation needs a teacher, and none is named", advice=advice)
    if not (job.teacher_model / "config.json").is_file():
        raise TrainingFailed("training.no-teacher", f"there is no model in {job.teacher_model}", advice=advice)
    return job.teacher_model


def _refuse_other_vocabulary(tokenizer: PreTrainedTokenizerBase, teacher_folder: Path) -> None:
    """Predictions can be compared only if every token id means the same to both.

    Raises:
        TrainingFailed: some id does not.
    """
    if load_vocabulary(teacher_folder) != tokenizer.get_vocab():
        reason = f"the teacher in {teacher_folder.name} has another vocabulary than the base model"
        raise TrainingFailed("training.other-vocabulary", reason, advice=_ADVICE)


if __name__ == "__main__":
    sys.exit(main(set_up))
