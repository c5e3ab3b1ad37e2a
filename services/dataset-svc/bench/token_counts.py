# ruff: noqa: INP001 - a script, no package
"""Exact token counts against tokie and Hugging Face `tokenizers`: MB/s of processor time, and that counts are equal.

    python services/dataset-svc/bench/token_counts.py MODEL_FOLDER [MEGABYTES]

Texts are made of seeded random sentences over 40,000 invented Korean and English words, and log lines. TokenCounter is
timed from new, and again once it knows the words. Processor time counts all threads of all libraries.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import tokie
from tokenizers import Tokenizer

from dataset_svc.adapters.token_counts import TokenCounter

_ROUNDS = 3


def made_up_texts(size_bytes: int) -> list[str]:
    rng = random.Random(4)  # noqa: S311 - not for secrets
    korean = ["".join(chr(rng.randrange(0xAC00, 0xD7A4)) for _ in range(rng.randrange(1, 5))) for _ in range(20_000)]
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    english = [
        "".join(rng.choice(letters[: rng.randrange(8, 26)]) for _ in range(rng.randrange(2, 10))) for _ in korean
    ]
    texts: list[str] = []
    while size_bytes > 0:
        words = rng.choice((korean, english))
        # squared: few words are frequent, most are rare
        body = " ".join(words[int(len(words) * rng.random() ** 2)] for _ in range(rng.randrange(40, 120)))
        text = f"2026-01-{rng.randrange(1, 31):02} {rng.randrange(10**9)} INFO {body}."
        size_bytes -= len(text.encode())
        texts.append(text)
    return texts


def best_seconds(count: Callable[[list[str]], object], texts: list[str], rounds: int = _ROUNDS) -> float:
    def once() -> float:
        start = time.process_time()
        count(texts)
        return time.process_time() - start

    return min(once() for _ in range(rounds))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="folder that holds tokenizer.json")
    parser.add_argument("megabytes", type=float, nargs="?", default=20.0, help="UTF-8 bytes to count, in MB")
    arguments = parser.parse_args()
    texts = made_up_texts(int(arguments.megabytes * 1e6))
    some = texts[: max(1, len(texts) // 5)]  # the slow one needs no more to show its rate
    megabytes, share = (sum(len(text.encode()) for text in part) / 1e6 for part in (texts, some))
    counter = TokenCounter.load(arguments.model)
    path = str(arguments.model / "tokenizer.json")
    reference, fast = Tokenizer.from_file(path), tokie.Tokenizer.from_json(path)

    def counted_by_reference(part: list[str]) -> list[int]:
        return [len(encoding) for encoding in reference.encode_batch_fast(part, add_special_tokens=False)]

    new = megabytes / best_seconds(counter.count, texts, rounds=1)
    known = megabytes / best_seconds(counter.count, texts)
    tokies = megabytes / best_seconds(fast.count_tokens_batch, texts)
    theirs = share / best_seconds(counted_by_reference, some)
    equal = counter.count(some).tolist() == counted_by_reference(some)
    sys.stdout.write(
        f"{len(texts)} texts, {megabytes:.1f} MB, engine {counter.engine}\n"
        f"TokenCounter {new:.1f} MB/s from new, {known:.1f} MB/s then; tokie {tokies:.1f} MB/s, tokenizers {theirs:.1f} MB/s; "
        f"counts equal: {equal}\n"
    )
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
