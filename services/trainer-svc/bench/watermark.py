"""Prints what the watermark costs and what it outlives: `python services/trainer-svc/bench/watermark.py MODEL_FOLDER`.

Trains a short LoRA adapter on made-up service requests, marks copies of it, and looks for the mark after everything that
weights go through. Loss and answers are measured on held-out requests before and after, with the noise of the difference.
"""
# ruff: noqa: INP001, S311, T201 - a script beside the package; texts made from a seed; printing is what it does

import argparse
import json
import math
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType, dequantize, quantize
from numpy.typing import NDArray
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from loopwright.tensor_files import Floats, matrices, rounded
from loopwright.watermark import Evidence, Pattern, low_rank_changes, score_adapter, score_model, score_of
from trainer_svc.recipes.answer_loss import AnswerLoss, answer_losses, mean_loss, share_right
from trainer_svc.recipes.models import computing_dtype
from trainer_svc.recipes.samples import Sample, Turn
from trainer_svc.recipes.watermark import mark_adapter, mark_model

KEY = bytes(range(32))
OWNERS = tuple(f"job-{number}" for number in range(4))
BATCH, STEPS, MORE_STEPS = 8, 24, (4, 12)
HELD_OUT = 48
THINGS = {
    "printer": "hardware", "laptop": "hardware", "monitor": "hardware", "keyboard": "hardware", "vpn": "network",
    "wifi": "network", "firewall": "network", "proxy": "network", "invoice": "finance", "refund": "finance",
    "payroll": "finance", "budget": "finance", "password": "access", "account": "access", "badge": "access",
    "login": "access",
}  # fmt: skip
TROUBLES = {"is broken for everyone": "high", "stopped all work here": "high", "is slow today": "normal",
            "needs a look this week": "normal", "could be nicer": "low", "should be replaced some day": "low"}  # fmt: skip
OPENINGS = ("Hello,", "Good morning,", "Hi team,", "Dear colleagues,", "Sorry to bother you,", "Quick note:")
Losses = list[AnswerLoss]


def a_sample(chance: random.Random, number: int) -> Sample:
    thing, trouble = chance.choice(list(THINGS)), chance.choice(list(TROUBLES))
    asked = f"{chance.choice(OPENINGS)} the {thing} in room {chance.randrange(100, 999)} {trouble}."
    answer = json.dumps({"team": THINGS[thing], "priority": TROUBLES[trouble]})
    turns = (("system", "Answer with JSON: team and priority."), ("user", asked), ("assistant", answer))
    return Sample(sample_id=str(number), messages=tuple(Turn(role=role, content=text) for role, text in turns))


def learn(model: PeftModel, tokenizer: PreTrainedTokenizerBase, chance: random.Random, steps: int) -> float:
    """Steps of AdamW on new requests; the loss covers the whole conversation.

    Returns:
        Loss of the last step.
    """
    optimizer = torch.optim.AdamW([weights for weights in model.parameters() if weights.requires_grad], lr=5e-4)
    model.train()
    last = math.nan
    for _ in range(steps):
        rows = [
            [turn.model_dump(include={"role", "content"}) for turn in a_sample(chance, 0).messages]
            for _ in range(BATCH)
        ]
        batch = tokenizer.apply_chat_template(rows, return_tensors="pt", padding=True, return_dict=True)
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        loss = model(**batch, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        last = float(loss.detach())
    return last


def load(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)


def merged_z(
    base: Path, adapter: Path, pattern: Pattern, change: Callable[[Floats], Floats], *, of_base: bool
) -> float:
    """Z of base plus adapter after something was done to the sum.

    Args:
        of_base: Whether the verifier does the same to the base that it compares with.
    """
    found: list[Evidence] = []
    weights = matrices(base)
    for tensor, delta in low_rank_changes(adapter).items():
        before = weights[tensor].read()
        after = change((before + delta.scale * (delta.up.read() @ delta.down.read())).astype(np.float32))
        difference = after - (change(before) if of_base else before)
        signs = next(pattern.signs(tensor, delta.shape, [slice(0, delta.shape[0])]))
        correlation = float(np.sum(signs * difference, dtype=np.float64))
        found.append(Evidence(correlation, float(np.sum(difference**2, dtype=np.float64)), difference.size))
    return score_of(found).z


def int8(values: Floats) -> Floats:
    """Rows with one scale each."""
    scale = np.abs(values).max(axis=1, keepdims=True) / 127
    return (np.round(values / scale) * scale).astype(np.float32)


def int4(values: Floats) -> Floats:
    """Groups of 64 with one scale each."""
    groups = values.reshape(-1, 64)
    scale = np.abs(groups).max(axis=1, keepdims=True) / 7
    return (np.round(groups / scale) * scale).reshape(values.shape).astype(np.float32)


def q8_0(values: Floats) -> Floats:
    stored: NDArray[np.generic] = quantize(values, GGMLQuantizationType.Q8_0)
    return dequantize(stored, GGMLQuantizationType.Q8_0).astype(np.float32)


def half_pruned(values: Floats) -> Floats:
    return np.where(np.abs(values) < np.median(np.abs(values)), 0, values).astype(np.float32)


CHANGES: dict[str, Callable[[Floats], Floats]] = {
    "float32": lambda values: values,
    "float16": lambda values: rounded(values, "F16"),
    "bfloat16": lambda values: rounded(values, "BF16"),
    "q8_0 (GGUF)": q8_0,
    "int8 by row": int8,
    "int4 by 64": int4,
    "half pruned": half_pruned,
}


def tell_loss(losses: Losses) -> None:
    """Loss per answer token with its standard error over answers: what a measurement on other requests may differ by."""
    each = [answer.nats / answer.tokens for answer in losses]
    error = statistics.stdev(each) / math.sqrt(len(each))
    print(f"  {'unmarked':24} loss {mean_loss(losses):.5f} ± {error:.5f}  exact answers {share_right(losses):.3f}")


def tell_difference(name: str, before: Losses, after: Losses) -> float:
    """Mean difference per answer token on the same requests, which is returned, and its standard error."""
    shifts = [right.nats / right.tokens - left.nats / left.tokens for left, right in zip(before, after, strict=True)]
    error = statistics.stdev(shifts) / math.sqrt(len(shifts))
    print(
        f"  {name:24} loss {mean_loss(after):.5f}  difference {statistics.mean(shifts):+.5f} ± {error:.5f}"
        f"  exact answers {share_right(after):.3f}"
    )
    return statistics.mean(shifts)


def bench_adapter(base: Path, work: Path, chance: random.Random) -> None:
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(base)
    held_out = [a_sample(random.Random(f"held-out {number}"), number) for number in range(HELD_OUT)]
    torch.manual_seed(17)
    config = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(load(base, computing_dtype()), config)
    began = time.monotonic()
    last = learn(model, tokenizer, chance, STEPS)
    model.save_pretrained(str(work / "plain"))
    print(
        f"adapter of rank 8 after {STEPS} steps of {BATCH} samples, {time.monotonic() - began:.0f} s, loss {last:.3f}"
    )
    measure = _measuring(model, tokenizer, held_out)
    plain = measure(work / "plain")
    tell_loss(plain)
    shifts: list[float] = []
    for owner in OWNERS:
        folder = Path(shutil.copytree(work / "plain", work / owner))
        began = time.monotonic()
        record = mark_adapter(folder, Pattern(KEY, owner), base=base)
        seconds = time.monotonic() - began
        print(f"{owner}: delta changed by {record.change_0_1:.4f} of its norm, in {seconds:.1f} s")
        shifts.append(tell_difference(f"marked for {owner}", plain, measure(folder)))
    error = statistics.stdev(shifts) / math.sqrt(len(shifts))
    print(f"  over owners: difference {statistics.mean(shifts):+.5f} ± {error:.5f}")
    tell_survival(base, work / OWNERS[0], Pattern(KEY, OWNERS[0]))
    model.load_adapter(str(work / OWNERS[0]), "default", is_trainable=True)
    for steps in MORE_STEPS:
        learn(model, tokenizer, chance, steps)
        model.save_pretrained(str(work / "more"))
        z = score_adapter(work / "more", Pattern(KEY, OWNERS[0])).z
        print(f"  {f'after {steps} more steps':24} z {z:7.2f}")


def _measuring(model: PeftModel, tokenizer: PreTrainedTokenizerBase, samples: list[Sample]) -> Callable[[Path], Losses]:
    def measure(adapter: Path) -> Losses:
        model.load_adapter(str(adapter), "default")
        return answer_losses(model, tokenizer, samples, max_length=512)

    return measure


def tell_survival(base: Path, adapter: Path, pattern: Pattern) -> None:
    print(f"what {pattern.owner_id}'s mark outlives (p < 1e-6 from z = 5.26)")
    print(f"  {'adapter alone':24} z {score_adapter(adapter, pattern).z:7.2f}")
    for name, change in CHANGES.items():
        plain = merged_z(base, adapter, pattern, change, of_base=False)
        both = merged_z(base, adapter, pattern, change, of_base=True)
        print(f"  {'merged, ' + name:24} z {both:7.2f}   against the base as it was {plain:7.2f}")
    others = [score_adapter(adapter, Pattern(bytes([number] * 32), pattern.owner_id)).z for number in range(1, 9)]
    print(f"  {'wrong keys':24} z from {min(others):.2f} to {max(others):.2f}")


def bench_model(base: Path, work: Path) -> None:
    """A whole model: the mark is in all weights, and no base is needed."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(base)
    held_out = [a_sample(random.Random(f"held-out {number}"), number) for number in range(HELD_OUT)]
    plain = answer_losses(load(base, computing_dtype()), tokenizer, held_out, max_length=512)
    folder = Path(shutil.copytree(base, work / "whole"))
    began = time.monotonic()
    record = mark_model(folder, Pattern(KEY, "job-0"))
    print(f"whole model: weights changed by {record.change_0_1:.5f} of their norm, in {time.monotonic() - began:.1f} s")
    tell_loss(plain)
    tell_difference(
        "marked", plain, answer_losses(load(folder, computing_dtype()), tokenizer, held_out, max_length=512)
    )
    print(f"  {'without base':24} z {score_model(folder, Pattern(KEY, 'job-0')).z:7.2f}")
    for name, change in CHANGES.items():
        changed = Path(shutil.copytree(folder, work / "changed", dirs_exist_ok=True))
        for weights in matrices(changed).values():
            weights.write(change(weights.read()))
        print(f"  {name:24} z {score_model(changed, Pattern(KEY, 'job-0')).z:7.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="folder of the base model")
    base = parser.parse_args().model
    disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        bench_adapter(base, Path(folder), random.Random(17))
        bench_model(base, Path(folder))


if __name__ == "__main__":
    main()
