"""Where the current snapshot hangs: requests look at it, the reader of the topics replaces it between requests."""

from pathlib import Path

from router_svc.domain.snapshot import EMPTY, Snapshot


class Board:
    """The current snapshot of this process.

    Attributes:
        snapshot: What is known now.
        loaded: Whether everything that the topics held at the start has been read.
        trouble: Why the topics cannot be read now; None while they can.
    """

    def __init__(self) -> None:
        self.snapshot: Snapshot = EMPTY
        self.loaded = False
        self.trouble: str | None = "not connected yet"


class SetAsideMarks:
    """Which malformed records were sent to their dead-letter topic: a restart reads the topics again, not twice aside.

    Args:
        folder: Shared by the workers of a machine.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def is_marked(self, position: str) -> bool:
        return (self._folder / position).exists()

    def mark(self, position: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / position).touch()
