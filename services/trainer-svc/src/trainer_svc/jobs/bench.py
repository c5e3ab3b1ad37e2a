"""What a worker works with."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from loopwright.settings import CommonSettings
from loopwright.storage import Storage
from loopwright.unit_of_work import PostgresWork
from trainer_svc.adapters.launch import Launcher
from trainer_svc.adapters.tracking import MlflowRuns
from trainer_svc.domain.installed import Installed


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Settings of a worker.

    Attributes:
        owner: Its name; one process works under it at a time.
        slots: Devices, each for one job at a time.
        most_jobs: Jobs that run at the same time.
        lease: Silence after which it counts as dead.
        keep_after: How long a job is passed over before its slots are kept for it.
        max_attempts: Starts of one job after which a dying process fails it.
        grace_s: Time for a checkpoint when the service stops.
        cpu_threads: Threads of one CPU job; None lets torch choose.
        recipe: Module that runs every job; None leaves it to the job's kind and objective.
        watermark_key_file: Secret that marks what is learned; None: no mark.
        signing_key_file: PEM of the key that signs what is made; None: no signature.
    """

    owner: str
    work_dir: Path
    installed: Installed
    slots: tuple[str, ...]
    most_jobs: int
    lease: timedelta
    keep_after: timedelta
    max_attempts: int
    grace_s: float
    cpu_threads: int | None
    recipe: str | None
    watermark_key_file: Path | None = None
    signing_key_file: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Tools:
    """A bench and the parts of the platform that a worker reaches for.

    Attributes:
        common: Where traces and MLflow are.
        runs: MLflow's runs of jobs.
        launcher: Starts the recipes.
    """

    bench: Bench
    common: CommonSettings
    work: PostgresWork
    storage: Storage
    runs: MlflowRuns
    launcher: Launcher
