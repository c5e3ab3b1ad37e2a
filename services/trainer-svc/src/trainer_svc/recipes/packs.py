"""Several samples in one sequence, each as if it were alone."""

import torch
from transformers import PreTrainedModel

from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.job_file import JobFile

_LENGTH = 8  # tokens of each probe


def refuse_packing(job: JobFile) -> None:
    """For objectives that compare answers one by one.

    Raises:
        TrainingFailed: the job asks for packing.
    """
    if job.hyperparameters.packing:
        reason = f"objective {job.objective} does not pack samples"
        raise TrainingFailed("training.packing-unsupported", reason, advice="switch packing off, or use objective sft")


@torch.no_grad()
def refuse_leaks(model: PreTrainedModel) -> None:
    """Makes sure that of two samples in one sequence the second does not see the first.

    That is up to each model's attention: it must begin anew where positions do. With another first sample, logits at
    the second must stay the same to the bit.

    Raises:
        TrainingFailed: they change.
    """
    vocabulary = model.config.get_text_config().vocab_size
    one, other, second = torch.arange(3 * _LENGTH, device=model.device).remainder(vocabulary).view(3, _LENGTH)
    positions = torch.arange(_LENGTH, device=model.device).repeat(2)[None]  # [1, 2 * length]
    model.eval()
    after_one, after_other = (
        model(input_ids=torch.cat([first, second])[None], position_ids=positions, use_cache=False).logits[0, _LENGTH:]
        for first in (one, other)
    )
    if not torch.equal(after_one, after_other):
        reason = f"the attention of {type(model).__name__} does not keep packed samples apart"
        raise TrainingFailed("training.packing-leaks", reason, advice="switch packing off")
