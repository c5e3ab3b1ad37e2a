"""GET /api/v1/router/assignments: which variant a unit gets and why, for operators."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from loopwright.auth import Viewer
from loopwright.contracts.base import Identifier
from router_svc.adapters.board import Board
from router_svc.api.guarding import OPERATOR_PROBLEMS
from router_svc.domain.explaining import Explanation, Step, explain
from router_svc.domain.inference_ids import InferenceIds


class StepView(BaseModel):
    """What one running experiment makes of the unit."""

    experiment_id: str
    kind: str = Field(description="ab, aa or shadow")
    epoch: int
    absence: str | None = Field(description="why it takes no part: excluded, outside-layer or not-covered")
    layer: str | None
    layer_point_0_1: float | None = Field(description="where the unit stands in the layer")
    layer_from_0_1: float | None
    layer_to_0_1: float | None = Field(description="units from the one up to the other may take part")
    coverage_0_1: float
    coverage_point_0_1: float | None = Field(description="below the coverage: takes part")
    arm: int = Field(description="arm if it takes part; 0 is the champion's")
    arm_variant_id: str


class AssignmentView(BaseModel):
    """What a unit gets."""

    task_id: str
    unit_hash: str = Field(description="what events call the unit")
    variant_id: str = Field(description="assigned")
    asked: tuple[str, ...] = Field(description="variants that are asked, in order, until one answers")
    experiment_id: str | None = Field(description="experiment that counts the request")
    epoch: int | None
    arm: int | None
    propensity_0_1: float | None
    shadow_variant_id: str | None = Field(description="asked too; nobody sees the answer")
    forced_variant_id: str | None = Field(description="named for this tester's unit")
    held_out: bool = Field(description="takes part in no experiment")
    steps: tuple[StepView, ...] = Field(description="running experiments, in the order in which they are asked")


def assignment_routes(board: Board, ids: InferenceIds) -> APIRouter:
    router = APIRouter(prefix="/api/v1/router", tags=["operators"], responses=OPERATOR_PROBLEMS)

    @router.get("/assignments")
    async def show_assignment(
        _: Viewer, task_id: Annotated[Identifier, Query()], unit: Annotated[str, Query(min_length=1, max_length=500)]
    ) -> AssignmentView:
        unit_hash = ids.hash_unit(unit)
        explanation = explain(board.snapshot, task_id, unit=unit, unit_hash=unit_hash)
        return _view(task_id, unit_hash, explanation)

    return router


def _view(task_id: str, unit_hash: str, explanation: Explanation) -> AssignmentView:
    route = explanation.route
    return AssignmentView(
        task_id=task_id,
        unit_hash=unit_hash,
        variant_id=route.variant_id,
        asked=tuple(target.variant_id for target in route.targets),
        experiment_id=route.experiment_id,
        epoch=route.epoch,
        arm=route.arm,
        propensity_0_1=route.propensity_0_1,
        shadow_variant_id=None if route.shadow is None else route.shadow.target.variant_id,
        forced_variant_id=explanation.forced,
        held_out=explanation.held_out,
        steps=tuple(_step(step) for step in explanation.steps),
    )


def _step(step: Step) -> StepView:
    experiment, layer = step.experiment, step.experiment.layer
    return StepView(
        experiment_id=experiment.experiment_id,
        kind=experiment.kind,
        epoch=experiment.epoch,
        absence=step.absence,
        layer=None if layer is None else layer.name,
        layer_point_0_1=step.layer_point_0_1,
        layer_from_0_1=None if layer is None else layer.from_0_1,
        layer_to_0_1=None if layer is None else layer.to_0_1,
        coverage_0_1=experiment.coverage_0_1,
        coverage_point_0_1=step.coverage_point_0_1,
        arm=step.arm,
        arm_variant_id=experiment.arms[step.arm].variant_id,
    )
