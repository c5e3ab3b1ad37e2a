"""Runs of recipes on the tiny model, in this process: what tests of all objectives share."""

import io
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from pydantic import BaseModel
from safetensors.torch import load_file

from loopwright.contracts.tasks import Hyperparameters
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.progress import AnyLine, ProgressStream, Stepped, parse_line
from trainer_svc.recipes.running import attempt
from trainer_svc.recipes.stopping import Stop

# torch, datasets and transformers warn of their own deprecations
WARNINGS = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
SETTINGS = Hyperparameters(
    lora_rank=4, lora_alpha=8, lora_dropout=0.1, learning_rate=0.01, batch_size=4, num_epochs=3,
    max_seq_length=64, checkpoint_every_steps=5,
)  # fmt: skip
JobMaker = Callable[..., JobFile]
Kind = TypeVar("Kind", bound=BaseModel)


class Lines(io.StringIO):
    """Standard output of a recipe; asks it to stop after the line that says `stop_after_step`."""

    def __init__(self, stop: Stop | None = None, stop_after_step: int = 0) -> None:
        super().__init__()
        self._stop = stop
        self._stop_after_step = stop_after_step

    def write(self, text: str) -> int:
        line = parse_line(text)
        if self._stop is not None and isinstance(line, Stepped) and line.step >= self._stop_after_step:
            self._stop.asked = True
        return super().write(text)

    def read_all(self) -> list[AnyLine]:
        return [parse_line(text) for text in self.getvalue().splitlines()]


def run(job: JobFile, *, stop_after_step: int | None = None) -> tuple[int, list[AnyLine]]:
    """Exit status and lines of one attempt by the recipe of the job's objective."""
    stop = Stop()
    lines = Lines(stop if stop_after_step is not None else None, stop_after_step or 0)
    set_up = import_module(f"trainer_svc.recipes.{job.objective}").set_up
    return attempt(set_up, job, progress=ProgressStream(lines), stop=stop), lines.read_all()


def adapter_of(job: JobFile) -> dict[str, torch.Tensor]:
    return load_file(job.output_dir / "adapter_model.safetensors")


def same_adapters(one: JobFile, other: JobFile) -> bool:
    """Whether they are equal bit for bit."""
    first, second = adapter_of(one), adapter_of(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def of_kind(lines: list[AnyLine], kind: type[Kind]) -> list[Kind]:
    return [line for line in lines if isinstance(line, kind)]


def describe_job(folder: Path, **fields: object) -> JobFile:
    """A job in a folder of its own."""
    folder.mkdir(exist_ok=True)
    given: dict[str, object] = {
        "job_id": folder.name,
        "checkpoint_dir": folder / "checkpoints",
        "output_dir": folder / "adapter",
        "hyperparameters": SETTINGS,
        "cpu_threads": 1,
    }
    return JobFile.model_validate(given | fields)
