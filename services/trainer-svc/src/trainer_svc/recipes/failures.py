"""Why a training run cannot go on, in words that a person can act on."""

import errno
from dataclasses import dataclass

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# safetensors and torch.save report a failed write as their own errors, with only the text to go by
_NO_ROOM_WORDS = (
    "no space left", "os error 28", "file too large", "os error 27", "disk quota", "os error 122",
    "iostream error", "file write failed",
)  # fmt: skip
_NO_MEMORY_WORDS = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")


@dataclass(frozen=True)
class Explanation:
    """A failure for people: what happened, and what to do about it."""

    code: str
    reason: str
    advice: str


class TrainingFailed(Exception):
    """The recipe itself knows why it cannot go on."""

    def __init__(self, code: str, reason: str, *, advice: str) -> None:
        super().__init__(reason)
        self.explanation = Explanation(code, reason, advice)


def explain(error: BaseException) -> Explanation:
    """Names the cause of whatever ended a run."""
    chain = _chain(error)
    for link in chain:
        if isinstance(link, TrainingFailed):
            return link.explanation
    if any(_is_no_room(link) for link in chain):
        return Explanation(
            "training.disk-full",
            "the disk (or its quota) has no room for the checkpoint or the adapter",
            "free space in the trainer's work folder, keep fewer checkpoints, or train a smaller adapter",
        )
    if any(_is_no_memory(link) for link in chain):
        return Explanation(
            "training.out-of-memory",
            "memory ran out during training",
            "use a smaller batch with more gradient accumulation steps, a shorter max_seq_length, or LoRA instead of"
            " full fine-tuning",
        )
    return Explanation(
        "training.error", f"{type(error).__name__}: {error}"[:500], "see the job's log for the whole message"
    )


def _chain(error: BaseException) -> tuple[BaseException, ...]:
    found: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in found:
        found.append(link)
        link = link.__cause__ or link.__context__
    return tuple(found)


def _is_no_room(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return True
    text = str(error).lower()
    return any(words in text for words in _NO_ROOM_WORDS)


def _is_no_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY_WORDS)
