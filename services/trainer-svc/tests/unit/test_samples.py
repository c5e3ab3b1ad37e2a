"""What is read to be imitated."""

import json
from pathlib import Path

import pytest

from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.samples import read_samples

MESSAGES = [{"role": "user", "content": "disk full"}, {"role": "assistant", "content": "normal"}]


def a_file(folder: Path, *thumbs: bool | None) -> Path:
    path = folder / "train.jsonl"
    lines = [{"sample_id": f"s{number}", "messages": MESSAGES, "thumb": thumb} for number, thumb in enumerate(thumbs)]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def test_answers_that_were_disliked_are_never_imitated(tmp_path: Path) -> None:
    assert [sample.sample_id for sample in read_samples(a_file(tmp_path, True, False, None))] == ["s0", "s2"]


def test_a_file_of_nothing_but_disliked_answers_teaches_nothing(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="to imitate"):
        read_samples(a_file(tmp_path, False))
