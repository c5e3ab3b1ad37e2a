"""Checkpoints that are whole: a seal is written last, and what has no valid seal is never resumed from."""

import os
import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PREFIX = "checkpoint-"
_SEAL = "complete.json"


class _Seal(BaseModel):
    """Names every file of a checkpoint and its length; exists only when all of them are on disk."""

    model_config = ConfigDict(frozen=True)

    step: int = Field(description="optimizer steps done")
    sizes: dict[str, int] = Field(description="length of each file in bytes, by name relative to the folder")


def seal(folder: Path, *, step: int) -> int:
    """Marks a checkpoint as complete once its bytes have reached the disk.

    Returns:
        Bytes of its files.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _SEAL)
    for path in files:
        _flush(path)
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in files}
    partial = folder / f".{_SEAL}.partial"
    partial.write_text(_Seal(step=step, sizes=sizes).model_dump_json())
    _flush(partial)
    partial.replace(folder / _SEAL)
    _flush(folder)
    return sum(sizes.values())


def folder_of(root: Path, step: int) -> Path:
    """Where the checkpoint of a step is, or would be."""
    return root / f"{PREFIX}{step}"


def newest_complete(root: Path) -> Path | None:
    """The complete checkpoint with most steps, if there is one."""
    return max(_complete(root), key=_step_of, default=None)


def discard_incomplete(root: Path) -> None:
    """Removes what a crash left half-written, so that nothing mistakes it for a checkpoint."""
    whole = set(_complete(root))
    for folder in root.glob(f"{PREFIX}*"):
        if folder not in whole:
            shutil.rmtree(folder)


def keep_newest(root: Path, count: int, *, besides: int | None = None) -> None:
    """Removes all but the newest complete checkpoints; the seal goes first, so that a crash leaves no broken one.

    Args:
        besides: Step of one that stays whatever its age.
    """
    for folder in sorted(_complete(root), key=_step_of, reverse=True)[count:]:
        if _step_of(folder) != besides:
            (folder / _SEAL).unlink()
            shutil.rmtree(folder)


def _complete(root: Path) -> list[Path]:
    return [folder for folder in root.glob(f"{PREFIX}*") if _is_complete(folder)]


def _is_complete(folder: Path) -> bool:
    try:
        seal_file = _Seal.model_validate_json((folder / _SEAL).read_text())
        return all((folder / name).stat().st_size == size for name, size in seal_file.sizes.items())
    except (OSError, ValidationError):
        return False


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix(PREFIX))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
