"""What ended a run, said in words that a person can act on."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from trainer_svc.recipes.failures import TrainingFailed, explain


def caused_by(cause: Exception) -> Exception:
    error = RuntimeError("while saving")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_names_a_full_disk_even_as_the_cause_of_another_error(number: int) -> None:
    assert explain(caused_by(OSError(number, "no"))).code == "training.disk-full"


# the limit holds for a whole process: in this one it would refuse the test log too, and cut compiled modules (so -B)
SAVE_WITH_LITTLE_ROOM = """
import resource, sys
import torch
from safetensors.torch import save_file
from trainer_svc.recipes.failures import explain

save = {"safetensors": save_file, "torch": torch.save}[sys.argv[1]]
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))
try:
    save({"a": torch.zeros(100_000)}, sys.argv[2])
except Exception as error:
    print(explain(error).code)
"""


@pytest.mark.parametrize("library", ["safetensors", "torch"])
def test_knows_a_full_disk_by_the_words_of_each_library(tmp_path: Path, library: str) -> None:
    command = [sys.executable, "-B", "-c", SAVE_WITH_LITTLE_ROOM, library, str(tmp_path / "file")]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "training.disk-full"


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
