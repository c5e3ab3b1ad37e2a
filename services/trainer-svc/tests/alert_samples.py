"""Samples of one small task, for recipes to learn: the first word of a line tells whether it is an alert.

Of the tiny model's random preferences most are wrong here: that there is something to learn is not by chance.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

ALERTS, CALM = ("ok", "done", "boot"), ("disk", "fan", "error")
REST = ["full", "ok", "link", "down", "up", "boot", "done", "retry", "line"]
Line = dict[str, object]


def case(number: int) -> tuple[list[dict[str, str]], str, str]:
    """A prompt, its right answer and its wrong one; no two numbers below 243 give the same prompt."""
    is_alert = number % 2 == 0
    first = ALERTS[number // 2 % 3] if is_alert else CALM[number // 2 % 3]
    words = [first, REST[number % 9], REST[number // 9 % 9], REST[number // 81 % 9]]
    prompt = [
        {"role": "system", "content": "say whether this line is an alert or normal"},
        {"role": "user", "content": " ".join(words)},
    ]
    return (prompt, "alert", "normal") if is_alert else (prompt, "normal", "alert")


def answered(number: int) -> Line:
    prompt, right, _ = case(number)
    return _line(number, prompt, right)


def corrected(number: int) -> Line:
    prompt, right, wrong = case(number)
    return _line(number, prompt, right) | {"rejected": wrong}


def rated(number: int) -> Line:
    """Two right answers in three are liked, the wrong third is disliked."""
    prompt, right, wrong = case(number)
    liked = number % 3 != 0
    return _line(number, prompt, right if liked else wrong) | {"thumb": liked}


def write(path: Path, lines: Iterable[Line]) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def write_cases(path: Path, numbers: Iterable[int], line: Callable[[int], Line]) -> Path:
    return write(path, (line(number) for number in numbers))


def preferences(base: Path, adapter: Path | None, numbers: Sequence[int]) -> list[float]:
    """How much likelier the right answer of each case is than the wrong one, nats; without any trainer."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter)).eval()
    margins: list[float] = []
    for number in numbers:
        prompt, right, wrong = case(number)
        ids = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        with torch.no_grad():
            chances = model(**ids).logits[0, -1].log_softmax(-1)  # each answer is one token
        margins.append(float(chances[tokenizer.vocab[right]] - chances[tokenizer.vocab[wrong]]))
    return margins


def _line(number: int, prompt: list[dict[str, str]], answer: str) -> Line:
    return {"sample_id": f"s{number}", "messages": [*prompt, {"role": "assistant", "content": answer}]}
