"""GET /api/v1/router/snapshot: what this worker serves by, for operators."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from loopwright.auth import Viewer
from router_svc.adapters.board import Board
from router_svc.adapters.spool import Spool
from router_svc.api.guarding import OPERATOR_PROBLEMS
from router_svc.domain.experiments import Experiment, LayerPart
from router_svc.domain.snapshot import Deployment, Snapshot, Target, Task


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


class ArmView(BaseModel):
    """One side of an experiment."""

    variant_id: str
    weight_0_1: float
    propensity_0_1: float = Field(description="probability with which a unit that takes part gets this arm")
    assigned: int = Field(description="requests that this worker assigned to it since it started")


class LayerView(BaseModel):
    """Part of a layer's units."""

    name: str
    from_0_1: float
    to_0_1: float


class ExperimentView(BaseModel):
    """How a task's traffic is split."""

    experiment_id: str
    task_id: str
    revision: int
    running: bool
    kind: str = Field(description="ab, aa or shadow")
    epoch: int
    arms: list[ArmView] = Field(description="the champion's first; their places are the arms' numbers in events")
    coverage_0_1: float = Field(description="share of the eligible units that take part")
    layer: LayerView | None = Field(description="who is eligible; null: everybody")
    hold_out: LayerView | None = Field(description="who takes part in no experiment of the task")
    excluded_units: int = Field(description="how many are on the list")
    forced_units: int = Field(description="how many testers' units have a variant of their own")


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
    router = APIRouter(prefix="/api/v1/router", tags=["operators"], responses=OPERATOR_PROBLEMS)

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
        experiments=[_experiment(board, experiment) for experiment in snapshot.experiments.values()],
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


def _experiment(board: Board, experiment: Experiment) -> ExperimentView:
    return ExperimentView(
        experiment_id=experiment.experiment_id,
        task_id=experiment.task_id,
        revision=experiment.revision,
        running=experiment.running,
        kind=experiment.kind,
        epoch=experiment.epoch,
        arms=[
            ArmView(
                variant_id=arm.variant_id,
                weight_0_1=arm.weight_0_1,
                propensity_0_1=arm.propensity_0_1,
                assigned=board.assigned.get((experiment.experiment_id, number), 0),
            )
            for number, arm in enumerate(experiment.arms)
        ],
        coverage_0_1=experiment.coverage_0_1,
        layer=_layer(experiment.layer),
        hold_out=_layer(experiment.hold_out),
        excluded_units=len(experiment.excluded),
        forced_units=len(experiment.forced),
    )


def _layer(part: LayerPart | None) -> LayerView | None:
    return None if part is None else LayerView(name=part.name, from_0_1=part.from_0_1, to_0_1=part.to_0_1)
