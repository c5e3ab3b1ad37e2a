"""TRL's SFTTrainer with two savings that leave the loss what it is, where a CPU would otherwise spend most of its time.

1. Only positions that predict an answer token go through the LM head. (On CUDA, TRL's fused head does this itself.)
2. Samples of one task begin with the same instructions: that prefix runs once per batch, not once per sample. Causal
   attention makes its keys and values equal for all of them, so loss and gradient are the same up to rounding.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch.nn import functional
from trl.trainer.sft_trainer import SFTTrainer

from trainer_svc.recipes.samples import LengthGroupedOrder

if TYPE_CHECKING:
    from transformers.modeling_outputs import CausalLMOutputWithPast

_IGNORED = -100
_SHORTEST_SHARED_PREFIX = 8  # tokens; below, a second forward pass costs more than it saves


class AnswerTrainer(SFTTrainer):
    """Learns answers, in an order that depends on seed and epoch alone."""

    @property
    def samples_left(self) -> int:
        """Samples whose answer fits into the longest sequence; the others were dropped."""
        return len(self._lengths())

    def _lengths(self) -> list[int]:
        rows = cast("dict[str, Sequence[Sequence[int]]]", self.train_dataset)
        return [len(ids) for ids in rows["input_ids"]]

    def _get_train_sampler(self, train_dataset: object = None) -> LengthGroupedOrder:  # noqa: ARG002 - TRL's signature
        return LengthGroupedOrder(self._lengths(), batch_size=self.args.train_batch_size, seed=self.args.seed)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 - TRL's signature
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Mean negative log-likelihood of the answer tokens, nats."""
        if inputs["input_ids"].device.type != "cpu":
            return cast("torch.Tensor", super().compute_loss(model, inputs, return_outputs, num_items_in_batch))
        targets = inputs["labels"][:, 1:]  # [batch, seq - 1]
        is_answer = targets != _IGNORED
        columns = is_answer.any(dim=0).nonzero().flatten()  # positions where any sample predicts an answer token
        logits = _logits_at(model, inputs, columns)  # [batch, columns, vocabulary]
        chosen = is_answer[:, columns]
        loss = functional.cross_entropy(logits[chosen].float(), targets[:, columns][chosen], reduction="sum")
        return loss / (chosen.sum() if num_items_in_batch is None else num_items_in_batch)


def _logits_at(model: torch.nn.Module, inputs: dict[str, torch.Tensor], columns: torch.Tensor) -> torch.Tensor:
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    shared = min(_shared_prefix(ids), int(columns[0]))
    if ids.shape[0] == 1 or shared < _SHORTEST_SHARED_PREFIX:
        out: CausalLMOutputWithPast = model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=columns)
    else:
        prefix: CausalLMOutputWithPast = model(input_ids=ids[:1, :shared], use_cache=True, logits_to_keep=1)
        cache = prefix.past_key_values
        assert cache is not None
        cache.batch_repeat_interleave(ids.shape[0])
        out = model(
            input_ids=ids[:, shared:], attention_mask=mask, past_key_values=cache, logits_to_keep=columns - shared
        )
    assert out.logits is not None
    return out.logits


def _shared_prefix(ids: torch.Tensor) -> int:
    """Leading tokens that all rows of `[batch, seq]` have in common."""
    return int((ids == ids[0]).all(dim=0).long().cumprod(dim=0).sum())
