"""Builders that unit and integration tests share."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import JsonValue

from dataset_svc.domain.samples import Sample, Turn
from loopwright.contracts.datasets import SampleSource

sys.path.insert(0, str(Path(__file__).parent))  # tests share builders, and are no package

SampleBuilder = Callable[..., Sample]
LineBuilder = Callable[..., bytes]


@pytest.fixture(scope="session")
def a_sample() -> SampleBuilder:
    """`a_sample("question", "answer", sample_id="s1", ...)`."""

    def build(question: str = "disk full", answer: str = "alert", **changes: object) -> Sample:
        fields: dict[str, object] = {
            "sample_id": f"s-{question}-{answer}",
            "task_id": "logs",
            "input": question,
            "messages": (Turn(role="user", content=question), Turn(role="assistant", content=answer)),
            "source": SampleSource.RATING,
            "inference_id": "i1",
            "rating_ids": ("r1",),
            "unit_hash": "u1",
            "weight_0_1": 1.0,
        }
        return Sample(**(fields | changes))

    return build


@pytest.fixture(scope="session")
def a_line() -> LineBuilder:
    """`a_line("question", "answer", sample_id="s1", ...)` as feedback-svc exports it, with a system prompt and a template."""

    def build(question: str = "disk full", answer: str = "alert", **changes: JsonValue) -> bytes:
        messages: list[JsonValue] = [
            {"role": "system", "content": "Say whether this line is an alert."},
            {"role": "user", "content": f"Line: {question}"},
            {"role": "assistant", "content": answer},
        ]
        line: dict[str, JsonValue] = {
            "sample_id": "s1",
            "task_id": "log-anomaly",
            "input": question,
            "messages": messages,
            "source": "rating",
            "inference_id": "i1",
            "rating_ids": ["r1"],
            "unit_hash": "u1",
            "weight_0_1": 1.0,
        }
        return json.dumps(line | changes, ensure_ascii=False).encode() + b"\n"

    return build
