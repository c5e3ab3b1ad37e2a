"""TRL's SFTTrainer with two savings that leave the loss what it is, where a CPU would otherwise spend most of its time.

1. Only positions that predict an answer token go through the LM head. (On CUDA, TRL's fused head does this itself.)
2. Samples of one task begin with the same instructions: that prefix runs once per batch, not once per sample. Causal
   attention makes its keys and values equal for all of them, so loss and gradient are the same up to rounding.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import torch
from datasets import Dataset, IterableDataset
from torch.nn import functional
from transformers import PreTrainedTokenizerBase, ProcessorMixin
from trl.data_utils import pack_dataset
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from trainer_svc.recipes.orders import LengthGroupedOrder

if TYPE_CHECKING:
    from transformers.modeling_outputs import CausalLMOutputWithPast

IGNORED = -100  # label of what is not learned
_SHORTEST_SHARED_PREFIX = 8  # tokens; below, a second forward pass costs more than it saves


class AnswerTrainer(SFTTrainer):
    """Learns answers, in an order that depends on seed and epoch alone."""

    @property
    def samples_left(self) -> int:
        """Samples whose answer fits into the longest sequence; the others were dropped."""
        assert isinstance(self.train_dataset, Dataset)
        if "seq_lengths" not in self.train_dataset.column_names:
            return len(self.train_dataset)
        packs = cast("dict[str, Sequence[Sequence[int]]]", self.train_dataset)["seq_lengths"]
        return sum(len(pack) for pack in packs)

    def _prepare_dataset(
        self,
        dataset: Dataset | IterableDataset,
        processing_class: PreTrainedTokenizerBase | ProcessorMixin,
        args: SFTConfig,
        packing: bool,  # noqa: FBT001 - TRL's signature
        formatting_func: Callable[[dict[str, object]], str] | None,
        dataset_name: str,
    ) -> Dataset:
        """Cuts and drops as without packing, then packs: the samples that are learned are the same either way."""
        whole = super()._prepare_dataset(dataset, processing_class, args, False, formatting_func, dataset_name)
        assert isinstance(whole, Dataset)
        if not (packing and len(whole)):
            return whole
        assert args.max_length is not None
        return pack_dataset(whole.select_columns(["input_ids", "labels"]), args.max_length, "bfd")

    def _get_train_sampler(self, train_dataset: object = None) -> LengthGroupedOrder:  # noqa: ARG002 - TRL's signature
        rows = cast("dict[str, Sequence[Sequence[int]]]", self.train_dataset)
        lengths = [len(ids) for ids in rows["input_ids"]]
        return LengthGroupedOrder(lengths, batch_size=self.args.train_batch_size, seed=self.args.seed)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 - TRL's signature
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Mean negative log-likelihood of the answer tokens, nats."""
        if inputs["input_ids"].device.type != "cpu" or "attention_mask" not in inputs:  # packs have none
            return cast("torch.Tensor", super().compute_loss(model, inputs, return_outputs, num_items_in_batch))
        targets, columns = answer_columns(inputs["labels"])
        logits = logits_at(model, inputs, columns, share_prefix=self.may_share_prefix)
        chosen = targets != IGNORED
        loss = functional.cross_entropy(logits[chosen].float(), targets[chosen], reduction="sum")
        return self.mean_of(loss, int(chosen.sum()), num_items_in_batch)

    @property
    def may_share_prefix(self) -> bool:
        """Not under gradient checkpointing, which keeps no keys and values, nor where a wrapper counts passes."""
        wrapped = self.is_deepspeed_enabled or self.is_fsdp_enabled or self.accelerator.num_processes > 1
        return not (wrapped or self.args.gradient_checkpointing)

    def mean_of(self, total: torch.Tensor, tokens: int, tokens_of_step: torch.Tensor | int | None) -> torch.Tensor:
        """Loss per token of the whole step, which spans micro-batches and processes.

        Args:
            tokens: Of this micro-batch, on this process.
        """
        if tokens_of_step is None:
            return total / tokens
        # gradients are averaged over processes, and the step's tokens are those of all of them
        return total * self.accelerator.num_processes / tokens_of_step


def answer_columns(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where any sample of a batch predicts an answer token.

    Args:
        labels: `[batch, seq]`

    Returns:
        The tokens to predict, `[batch, columns]`, and the positions that predict them, `[columns]`.
    """
    targets = labels[:, 1:]
    columns = (targets != IGNORED).any(dim=0).nonzero().flatten()
    return targets[:, columns], columns


def logits_at(
    model: torch.nn.Module, inputs: dict[str, torch.Tensor], columns: torch.Tensor, *, share_prefix: bool
) -> torch.Tensor:
    """Logits at some positions, `[batch, columns, vocabulary]`.

    Args:
        share_prefix: Whether what all samples begin with may run once.
    """
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    shared = min(_shared_prefix(ids), int(columns[0])) if share_prefix else 0
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
