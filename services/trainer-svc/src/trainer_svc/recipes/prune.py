"""A merged model with zeros in its linear layers: `python -m trainer_svc.recipes.prune JOB_FILE`.

The smallest weights of each layer go (magnitude pruning, Han et al. 2015), as many as the share says, or two of every
four neighbours of a row (2:4, which sparse tensor cores run at twice the speed: Mishra et al. 2021). Nothing is learned
again after it: the loss before and after is measured and told.
"""

import math
import sys
from pathlib import Path

import torch
from torch.nn.utils import prune as pruning
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from trainer_svc.recipes.answer_loss import answer_losses, mean_loss
from trainer_svc.recipes.card import CardFacts, facts_of
from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.merge import load_merged, stored_dtype
from trainer_svc.recipes.models import load_tokenizer
from trainer_svc.recipes.product import main, save_whole, say_started
from trainer_svc.recipes.progress import Evaluated, ProgressStream
from trainer_svc.recipes.samples import IMITATION, Sample, read_samples

_MOST_SAMPLES = 200  # that the loss is measured on; before and after are the same ones


def prune(job: JobFile, folder: Path, progress: ProgressStream) -> CardFacts:
    """Writes the pruned model, and says its loss on held-out samples before (step 0) and after (step 1).

    Raises:
        TrainingFailed: there is nothing to prune or to measure by.
    """
    tokenizer = load_tokenizer(job.base_model)
    samples = _held_out(job)
    model = load_merged(job)
    say_started(progress, model)
    before = _tell_loss(job, progress, model, tokenizer=tokenizer, samples=samples, step=0)
    sparsity = remove_smallest(model, job.hyperparameters.sparsity_0_1, two_of_four=job.hyperparameters.two_of_four)
    after = _tell_loss(job, progress, model, tokenizer=tokenizer, samples=samples, step=1)
    save_whole(model, tokenizer, folder, dtype=stored_dtype(job.base_model))
    measured = {"sparsity_0_1": sparsity, "eval_loss_before": before, "eval_loss_after": after}
    return facts_of(job).model_copy(
        update={"measured": measured, "eval_loss": after, "validation_samples": len(samples)}
    )


def remove_smallest(model: PreTrainedModel, share: float, *, two_of_four: bool) -> float:
    """Zeroes weights of all linear layers but the output head.

    Returns:
        Share of these layers' weights that are zero now.

    Raises:
        TrainingFailed: the model has no such layer, or one whose rows are no multiple of four under 2:4.
    """
    head = model.get_output_embeddings()
    layers = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear) and layer is not head]
    if not layers:
        reason = f"{type(model).__name__} has no linear layers that could be pruned"
        raise TrainingFailed("training.not-prunable", reason, advice="prune a dense decoder model")
    for layer in layers:
        if two_of_four:
            _keep_two_of_four(layer)
        else:
            pruning.l1_unstructured(layer, "weight", amount=share)
            pruning.remove(layer, "weight")
    zeros = sum(int((layer.weight == 0).sum()) for layer in layers)
    return zeros / sum(layer.weight.numel() for layer in layers)


@torch.no_grad()
def _keep_two_of_four(layer: torch.nn.Linear) -> None:
    rows, columns = layer.weight.shape
    if columns % 4:
        reason = f"a layer has rows of {columns} weights, which do not part into fours"
        raise TrainingFailed("training.not-prunable", reason, advice="prune by share instead: two_of_four false")
    fours = layer.weight.view(rows, columns // 4, 4)
    smallest = fours.abs().topk(2, dim=-1, largest=False).indices
    fours.scatter_(-1, smallest, 0.0)


def _held_out(job: JobFile) -> list[Sample]:
    samples = [] if job.validation_file is None else read_samples(job.validation_file)
    samples = [sample for sample in samples if IMITATION.suits(sample)]
    if not samples:
        reason = "there are no held-out samples to measure the loss of pruning by"
        raise TrainingFailed(
            "training.no-data", reason, advice="give the job a dataset version with a validation split"
        )
    return samples[:_MOST_SAMPLES]


def _tell_loss(
    job: JobFile,
    progress: ProgressStream,
    model: PreTrainedModel,
    *,
    tokenizer: PreTrainedTokenizerBase,
    samples: list[Sample],
    step: int,
) -> float:
    loss = mean_loss(answer_losses(model, tokenizer, samples, max_length=job.hyperparameters.max_seq_length))
    perplexity = math.exp(min(loss, 700.0))  # exp overflows a double above 709
    progress.say(Evaluated(step=step, total_steps=1, epoch=0, eval_loss=loss, perplexity=perplexity))
    return loss


if __name__ == "__main__":
    sys.exit(main(prune))
