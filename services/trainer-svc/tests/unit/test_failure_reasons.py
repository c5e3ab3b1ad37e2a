"""What ended a run, said in words that a person can act on."""

import errno
import resource
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from trainer_svc.recipes.failures import TrainingFailed, explain


def caused_by(cause: Exception) -> Exception:
    error = RuntimeError("while saving")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_names_a_full_disk_even_as_the_cause_of_another_error(number: int) -> None:
    assert explain(caused_by(OSError(number, "no"))).code == "training.disk-full"


@pytest.fixture
def little_room() -> Generator[None]:
    """The kernel refuses files longer than 1,000 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("little_room")
@pytest.mark.parametrize("save", [save_file, torch.save], ids=["safetensors", "torch"])
def test_knows_a_full_disk_by_the_words_of_each_library(tmp_path: Path, save: Callable[[object, Path], None]) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each library has its own
        save({"a": torch.zeros(100_000)}, tmp_path / "file")
    assert explain(caught.value).code == "training.disk-full"


def test_knows_that_memory_ran_out_by_the_words_of_torch() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 55, dtype=torch.uint8)
    explanation = explain(caught.value)
    assert explanation.code == "training.out-of-memory"
    assert "smaller batch" in explanation.advice


def test_keeps_the_recipes_own_words() -> None:
    error = caused_by(TrainingFailed("training.no-data", "there is nothing", advice="add some"))
    assert explain(error).reason == "there is nothing"


def test_of_anything_else_gives_the_error_and_the_place_to_look() -> None:
    explanation = explain(KeyError("loss"))
    assert (explanation.code, explanation.reason) == ("training.error", "KeyError: 'loss'")
    assert "log" in explanation.advice
