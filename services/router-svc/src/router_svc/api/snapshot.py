"""GET /api/v1/router/snapshot: what this worker serves by, for operators."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from loopwright.auth import Viewer
from loopwright.problems import ADMIN_PROBLEMS
from router_svc.adapters.board import Board
from router_svc.adapters.spool import Spool
from router_svc.domain.snapshot import Deployment, Experiment, Snapshot, Target, Task


class TaskView(BaseModel):
    """A task as it is served."""

    task_id: str
    version: int
    title: str
    structured: bool = Field(description="answers are held to a JSON schema")


class TargetView(BaseModel):
    """A variant and its servers."""

    variant_id: str
    served_name: str
    backend_urls: tuple[str, ...]


class DeploymentView(BaseModel):
    """What is loaded for a task."""

    task_id: str
    revision: int
    champion: TargetView
    candidates: list[TargetView]


class ExperimentView(BaseModel):
    """How a task's traffic is split."""

    experiment_id: str
    task_id: str
    revision: int
    running: bool
    champion_id: str
    candidate_id: str
    candidate_weight_0_1: float


class SpoolView(BaseModel):
    """Events on their way to Kafka."""

    pending_events: int = Field(description="not acknowledged by Kafka")
    size_bytes: int = Field(description="segments on disk")
    limit_bytes: int = Field(description="size at which inference events are shed and ratings refused")


class SnapshotView(BaseModel):
    """Everything that requests are decided by now."""

    loaded: bool = Field(description="the topics were read to their end once")
    trouble: str | None = Field(description="why the topics cannot be read now")
    tasks: list[TaskView]
    deployments: list[DeploymentView]
    experiments: list[ExperimentView]
    spool: SpoolView


def snapshot_routes(board: Board, spool: Spool) -> APIRouter:
    router = APIRouter(prefix="/api/v1/router", tags=["operators"], responses=ADMIN_PROBLEMS)

    @router.get("/snapshot")
    async def show_snapshot(_: Viewer) -> SnapshotView:
        return _view(board, board.snapshot, spool)

    return router


def _view(board: Board, snapshot: Snapshot, spool: Spool) -> SnapshotView:
    return SnapshotView(
        loaded=board.loaded,
        trouble=board.trouble,
        tasks=[_task(task) for task in snapshot.tasks.values()],
        deployments=[_deployment(deployment) for deployment in snapshot.deployments.values()],
        experiments=[_experiment(experiment) for experiment in snapshot.experiments.values()],
        spool=SpoolView(pending_events=spool.pending, size_bytes=spool.size_bytes, limit_bytes=spool.limit_bytes),
    )


def _task(task: Task) -> TaskView:
    structured = task.response_format is not None
    return TaskView(task_id=task.task_id, version=task.version, title=task.title, structured=structured)


def _deployment(deployment: Deployment) -> DeploymentView:
    return DeploymentView(
        task_id=deployment.task_id,
        revision=deployment.revision,
        champion=_target(deployment.champion),
        candidates=[_target(candidate) for candidate in deployment.candidates],
    )


def _target(target: Target) -> TargetView:
    return TargetView(variant_id=target.variant_id, served_name=target.served_name, backend_urls=target.backend_urls)


def _experiment(experiment: Experiment) -> ExperimentView:
    return ExperimentView(
        experiment_id=experiment.experiment_id,
        task_id=experiment.task_id,
        revision=experiment.revision,
        running=experiment.running,
        champion_id=experiment.champion_id,
        candidate_id=experiment.candidate_id,
        candidate_weight_0_1=experiment.candidate_weight_0_1,
    )
