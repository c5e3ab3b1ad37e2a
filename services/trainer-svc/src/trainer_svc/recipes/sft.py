"""Supervised fine-tuning on answers: `python -m trainer_svc.recipes.sft JOB_FILE`.

Says what it does as JSON lines on standard output (`progress.py`), checkpoints and exits with 75 on SIGTERM, resumes
from the newest complete checkpoint; on a CPU bit for bit as if it had never stopped.
"""

import sys

from trl.trainer.sft_config import SFTConfig

from trainer_svc.recipes.answer_trainer import AnswerTrainer
from trainer_svc.recipes.arguments import common_arguments
from trainer_svc.recipes.conversations import answered, as_dataset
from trainer_svc.recipes.models import adapter_config, load_model, load_tokenizer
from trainer_svc.recipes.packs import refuse_leaks
from trainer_svc.recipes.running import Lesson, Run, main, read_data
from trainer_svc.recipes.samples import IMITATION


def set_up(run: Run) -> Lesson:
    """Loads data and model. The loss is the negative log-likelihood of the answers alone.

    Raises:
        TrainingFailed: nothing can be learned; says why.
    """
    job = run.job
    splits = read_data(run, use=IMITATION)
    tokenizer, model = load_tokenizer(job.base_model), load_model(job)
    if job.hyperparameters.packing:
        refuse_leaks(model)
    trainer = AnswerTrainer(
        model=model,
        args=SFTConfig(
            **common_arguments(job),
            completion_only_loss=True,
            packing=job.hyperparameters.packing,
            eval_packing=False,
        ),
        train_dataset=as_dataset(splits.train, answered),
        eval_dataset=as_dataset(splits.validation, answered) if splits.validation else None,
        processing_class=tokenizer,
        peft_config=adapter_config(job),
    )
    return Lesson(trainer, tokenizer, splits, learned=trainer.samples_left)


if __name__ == "__main__":
    sys.exit(main(set_up))
