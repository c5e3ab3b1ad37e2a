"""Where the current snapshot hangs: requests look at it, the reader of the topics replaces it between requests."""

from pathlib import Path

from router_svc.domain.snapshot import EMPTY, Route, Snapshot


class Board:
    """The current snapshot of this process.

    Attributes:
        snapshot: What is known now.
        loaded: Whether everything that the topics held at the start has been read.
        trouble: Why the topics cannot be read now; None while they can.
        assigned: Requests that were assigned since the start, by experiment and number of the arm.
    """

    def __init__(self) -> None:
        self.snapshot: Snapshot = EMPTY
        self.loaded = False
        self.trouble: str | None = "not connected yet"
        self.assigned: dict[tuple[str, int], int] = {}

    def route(self, model: str, unit: str, unit_hash: str) -> Route:
        """Decides who answers, as `Snapshot.route`, and counts it."""
        route = self.snapshot.route(model, unit, unit_hash)
        if route.experiment_id is not None and route.arm is not None:
            self._count(route.experiment_id, route.arm)
        if route.shadow is not None:
            self._count(route.shadow.experiment_id, route.shadow.arm)
        return route

    def _count(self, experiment_id: str, arm: int) -> None:
        key = (experiment_id, arm)
        self.assigned[key] = self.assigned.get(key, 0) + 1


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
