"""Direct preference optimisation from corrections: `python -m trainer_svc.recipes.dpo JOB_FILE`.

A correction is the chosen answer, what the model had said is the rejected one (arXiv:2305.18290). Rows without a
rejected answer are left out and counted.
"""

import sys
from collections.abc import Sequence
from typing import cast

from datasets import Dataset
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from trainer_svc.recipes.arguments import common_arguments
from trainer_svc.recipes.conversations import as_dataset, preferred
from trainer_svc.recipes.models import adapter_config, load_model, load_tokenizer
from trainer_svc.recipes.orders import LengthGroupedOrder
from trainer_svc.recipes.packs import refuse_packing
from trainer_svc.recipes.running import Lesson, Run, main, read_data
from trainer_svc.recipes.samples import PAIRS


class PairTrainer(DPOTrainer):
    """Learns preferences, in an order that depends on seed and epoch alone."""

    def _get_train_sampler(self, train_dataset: object = None) -> LengthGroupedOrder:  # noqa: ARG002 - TRL's signature
        assert isinstance(self.train_dataset, Dataset)
        rows = cast("dict[str, Sequence[Sequence[int]]]", self.train_dataset)
        parts = zip(rows["prompt_ids"], rows["chosen_ids"], rows["rejected_ids"], strict=True)
        lengths = [len(prompt) + max(len(chosen), len(rejected)) for prompt, chosen, rejected in parts]
        return LengthGroupedOrder(lengths, batch_size=self.args.train_batch_size, seed=self.args.seed)


def set_up(run: Run) -> Lesson:
    """Loads data and model. The reference is the base model: LoRA's without its adapter, else a second copy.

    Raises:
        TrainingFailed: nothing can be learned; says why.
    """
    job = run.job
    refuse_packing(job)
    splits = read_data(run, use=PAIRS)
    tokenizer = load_tokenizer(job.base_model)
    trainer = PairTrainer(
        model=load_model(job),
        args=DPOConfig(**common_arguments(job), beta=job.hyperparameters.beta),
        train_dataset=as_dataset(splits.train, preferred),
        eval_dataset=as_dataset(splits.validation, preferred) if splits.validation else None,
        processing_class=tokenizer,
        peft_config=adapter_config(job),
    )
    assert isinstance(trainer.train_dataset, Dataset)
    return Lesson(trainer, tokenizer, splits, learned=len(trainer.train_dataset))


if __name__ == "__main__":
    sys.exit(main(set_up))
