"""Kahneman-Tversky optimisation from thumbs: `python -m trainer_svc.recipes.kto JOB_FILE`.

Liked and disliked answers teach without being pairs (arXiv:2402.01306). Rows without a thumb are left out and counted.
"""

import sys
from collections.abc import Sequence
from typing import TypedDict

from datasets import Dataset
from trl.trainer.kto_config import KTOConfig
from trl.trainer.kto_trainer import KTOTrainer

from trainer_svc.recipes.arguments import common_arguments
from trainer_svc.recipes.conversations import as_dataset, rated
from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.models import adapter_config, load_model, load_tokenizer
from trainer_svc.recipes.orders import BatchOrder, shuffled
from trainer_svc.recipes.packs import refuse_packing
from trainer_svc.recipes.running import Lesson, Run, main, read_data
from trainer_svc.recipes.samples import THUMBS, Sample


class ThumbTrainer(KTOTrainer):
    """Learns from thumbs, in an order that depends on seed and epoch alone.

    TRL estimates the reference point from answers of neighbours, so neighbours share a batch in every epoch.
    """

    def _get_train_sampler(self, train_dataset: object = None) -> BatchOrder:  # noqa: ARG002 - TRL's signature
        assert isinstance(self.train_dataset, Dataset)
        return BatchOrder(len(self.train_dataset), batch_size=self.args.train_batch_size, seed=self.args.seed)


class Weights(TypedDict):
    """Weights of the two kinds of loss."""

    desirable_weight: float
    undesirable_weight: float


def set_up(run: Run) -> Lesson:
    """Loads data and model. The reference is the base model: LoRA's without its adapter, else a second copy.

    Raises:
        TrainingFailed: nothing can be learned; says why.
    """
    job = run.job
    chosen = job.hyperparameters
    if chosen.batch_size == 1:
        reason = "KTO compares answers within a batch, and batch_size is 1"
        raise TrainingFailed("training.batch-too-small", reason, advice="use a batch_size of 2 or more")
    refuse_packing(job)
    splits = read_data(run, use=THUMBS)
    weights = balanced_weights(splits.train)
    tokenizer = load_tokenizer(job.base_model)
    trainer = ThumbTrainer(
        model=load_model(job),
        args=KTOConfig(**common_arguments(job), **weights, beta=chosen.beta),
        train_dataset=as_dataset(shuffled(splits.train, seed=chosen.seed), rated),
        eval_dataset=as_dataset(shuffled(splits.validation, seed=chosen.seed), rated) if splits.validation else None,
        processing_class=tokenizer,
        peft_config=adapter_config(job),
    )
    assert isinstance(trainer.train_dataset, Dataset)
    return Lesson(trainer, tokenizer, splits, learned=len(trainer.train_dataset))


def balanced_weights(samples: Sequence[Sample]) -> Weights:
    """Lets both kinds weigh the same in all, the rarer one more each (equation 8 of the paper).

    Raises:
        TrainingFailed: there is but one kind.
    """
    liked = sum(sample.thumb is True for sample in samples)
    disliked = len(samples) - liked
    if not (liked and disliked):
        kind, other = ("up", "down") if liked else ("down", "up")
        reason = f"all {len(samples)} thumbs are {kind}: KTO learns from the difference"
        advice = f"gather thumbs that are {other}" + (", or use objective sft" if liked else "")
        raise TrainingFailed("training.one-sided-thumbs", reason, advice=advice)
    most = max(liked, disliked)
    return Weights(desirable_weight=most / liked, undesirable_weight=most / disliked)


if __name__ == "__main__":
    sys.exit(main(set_up))
