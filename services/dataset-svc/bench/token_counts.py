# ruff: noqa: INP001 - a script, no package
"""Exact token counts against Hugging Face `tokenizers`: MB/s of both on the same texts, and that the counts are equal.

    python services/dataset-svc/bench/token_counts.py MODEL_FOLDER [MEGABYTES]

Texts are made of seeded random sentences over 40,000 invented Korean and English words, and log lines.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
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


def best_seconds(count: Callable[[Sequence[str]], NDArray[np.int32]], texts: Sequence[str]) -> float:
    def once() -> float:
        start = time.perf_counter()
        count(texts)
        return time.perf_counter() - start

    return min(once() for _ in range(_ROUNDS))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="folder that holds tokenizer.json")
    parser.add_argument("megabytes", type=float, nargs="?", default=20.0, help="UTF-8 bytes to count, in MB")
    arguments = parser.parse_args()
    texts = made_up_texts(int(arguments.megabytes * 1e6))
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    counter = TokenCounter.load(arguments.model)
    reference = TokenCounter(Tokenizer.from_file(str(arguments.model / "tokenizer.json")))
    some = texts[: max(1, len(texts) // 5)]  # the slow one needs no more to show its rate
    share = sum(len(text.encode()) for text in some) / 1e6
    equal = np.array_equal(counter.count(some), reference.count(some))
    ours, theirs = megabytes / best_seconds(counter.count, texts), share / best_seconds(reference.count, some)
    sys.stdout.write(
        f"{len(texts)} texts, {megabytes:.1f} MB, engine {counter.engine}\n"
        f"TokenCounter {ours:.1f} MB/s, tokenizers {theirs:.1f} MB/s, ratio {ours / theirs:.1f}, "
        f"counts equal: {equal}\n"
    )
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
