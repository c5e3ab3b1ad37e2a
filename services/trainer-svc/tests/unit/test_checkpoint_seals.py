"""A checkpoint counts only if every byte that its seal names is there."""

from pathlib import Path

import pytest

from trainer_svc.recipes.checkpoints import discard_incomplete, keep_newest, newest_complete, seal


def a_checkpoint(root: Path, step: int, *, sealed: bool = True) -> Path:
    folder = root / f"checkpoint-{step}"
    (folder / "deep").mkdir(parents=True)
    (folder / "weights").write_bytes(b"w" * 100)
    (folder / "deep/state").write_bytes(b"s" * 20)
    if sealed:
        assert seal(folder, step=step) == 120
    return folder


def test_the_newest_is_the_one_with_most_steps_not_the_last_by_name(tmp_path: Path) -> None:
    a_checkpoint(tmp_path, 9)
    newest = a_checkpoint(tmp_path, 10)
    assert newest_complete(tmp_path) == newest


def test_there_is_none_in_an_empty_or_absent_folder(tmp_path: Path) -> None:
    assert newest_complete(tmp_path) is None
    assert newest_complete(tmp_path / "absent") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "weights").write_bytes(b"w" * 99),
        lambda folder: (folder / "deep/state").unlink(),
        lambda folder: (folder / "complete.json").unlink(),
        lambda folder: (folder / "complete.json").write_text('{"step": 2, "si'),
    ],
    ids=["a file is short", "a file is missing", "no seal", "half a seal"],
)
def test_a_damaged_checkpoint_is_passed_over_and_discarded(tmp_path: Path, damage) -> None:
    whole, damaged = a_checkpoint(tmp_path, 1), a_checkpoint(tmp_path, 2)
    damage(damaged)
    assert newest_complete(tmp_path) == whole
    discard_incomplete(tmp_path)
    assert (whole.exists(), damaged.exists()) == (True, False)


def test_keeps_the_newest(tmp_path: Path) -> None:
    for step in (5, 10, 15, 20):
        a_checkpoint(tmp_path, step)
    keep_newest(tmp_path, 2)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-15", "checkpoint-20"}


def test_keeps_the_best_besides(tmp_path: Path) -> None:
    for step in (5, 10, 15, 20):
        a_checkpoint(tmp_path, step)
    keep_newest(tmp_path, 1, besides=10)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-10", "checkpoint-20"}


def test_never_counts_a_half_written_one_among_those_to_keep(tmp_path: Path) -> None:
    whole = a_checkpoint(tmp_path, 5)
    a_checkpoint(tmp_path, 10, sealed=False)
    keep_newest(tmp_path, 1)
    assert newest_complete(tmp_path) == whole
