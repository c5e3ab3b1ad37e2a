"""One attempt at a job, as the rooms of the worker hand it on: preparing, watching, ending."""

from dataclasses import dataclass, field
from pathlib import Path

from trainer_svc.adapters.launch import Running
from trainer_svc.domain.jobs import Job
from trainer_svc.recipes.progress import AnyLine


class StopAskedWhilePreparing(Exception):
    """There is no process yet that could be asked."""


@dataclass
class Attempt:
    """One running attempt, and what its process has said so far.

    Attributes:
        stop_wanted: Somebody wants it to end.
        stop_asked: Its process was told.
        lost: Its lease is, or may be, somebody else's.
        announced_at: When progress was last said (monotonic seconds).
    """

    job: Job
    folder: Path
    process: Running | None = None
    last: AnyLine | None = None
    stop_wanted: bool = False
    stop_asked: bool = False
    lost: bool = False
    announced_at: float = field(default=0.0)
