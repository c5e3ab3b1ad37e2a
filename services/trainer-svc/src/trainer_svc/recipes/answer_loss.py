"""How well a model answers held-out samples: the loss of their answers, without a trainer."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from trainer_svc.recipes.conversations import answered
from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.samples import Sample


@dataclass(frozen=True)
class AnswerLoss:
    """How a model takes one answer.

    Attributes:
        nats: Summed negative log-likelihood of its tokens.
        tokens: Their number.
        right: Whether the model would say exactly this, greedily.
    """

    nats: float
    tokens: int
    right: bool


@torch.no_grad()
def answer_losses(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, samples: Sequence[Sample], *, max_length: int
) -> list[AnswerLoss]:
    """Loss of the answer of each sample that fits.

    Raises:
        TrainingFailed: none fits into `max_length` tokens.
    """
    model.eval()
    found = [_loss(model, prompt, whole) for prompt, whole in _tokens(tokenizer, samples) if len(whole) <= max_length]
    if not found:
        reason = f"no held-out sample fits into {max_length} tokens"
        raise TrainingFailed("training.no-data", reason, advice="raise max_seq_length, or give shorter samples")
    return found


def mean_loss(losses: Sequence[AnswerLoss]) -> float:
    """Nats per answer token."""
    return math.fsum(loss.nats for loss in losses) / sum(loss.tokens for loss in losses)


def share_right(losses: Sequence[AnswerLoss]) -> float:
    """Share of answers that the model would say exactly."""
    return sum(loss.right for loss in losses) / len(losses)


def _tokens(tokenizer: PreTrainedTokenizerBase, samples: Sequence[Sample]) -> list[tuple[int, list[int]]]:
    """Length of the prompt, and tokens of prompt and answer, of each sample."""
    rows: list[tuple[int, list[int]]] = []
    for sample in samples:
        row = answered(sample)
        told = cast("list[dict[str, str]]", row["prompt"])
        answer = cast("list[dict[str, str]]", row["completion"])
        asked = _rendered(tokenizer, told, row["tools"], answers=False)
        whole = _rendered(tokenizer, [*told, *answer], row["tools"], answers=True)
        rows.append((len(asked), whole))
    return rows


def _rendered(
    tokenizer: PreTrainedTokenizerBase, turns: list[dict[str, str]], tools: object, *, answers: bool
) -> list[int]:
    described: list[object] | None = json.loads(tools) if isinstance(tools, str) else None
    ids = tokenizer.apply_chat_template(
        turns,
        tools=described,  # pyright: ignore[reportArgumentType] - its type names functions and untyped dicts only
        add_generation_prompt=not answers,
        return_dict=False,
    )
    return cast("list[int]", ids)


def _loss(model: PreTrainedModel, prompt: int, tokens: list[int]) -> AnswerLoss:
    ids = torch.tensor([tokens], device=model.device)
    logits = model(input_ids=ids, use_cache=False).logits[0, prompt - 1 : -1].float()  # [answer, vocabulary]
    nats = functional.cross_entropy(logits, ids[0, prompt:], reduction="sum")
    return AnswerLoss(float(nats), len(tokens) - prompt, bool((logits.argmax(dim=-1) == ids[0, prompt:]).all()))
