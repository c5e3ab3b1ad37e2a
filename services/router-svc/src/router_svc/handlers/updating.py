"""Takes facts about tasks, deployments and experiments into the snapshot."""

import re

import msgspec

from loopwright.contracts.base import Event
from loopwright.contracts.deployments import DeployedVariant, DeploymentChanged
from loopwright.contracts.experiments import ExperimentChanged, ExperimentState, Layer
from loopwright.contracts.tasks import TaskDefined
from loopwright.errors import InvalidPayload
from router_svc.adapters.board import Board
from router_svc.domain.assignment import coverage_of, split_of
from router_svc.domain.experiments import Experiment, LayerPart, arms_of, layer_part
from router_svc.domain.inference_ids import MOST_EPOCHS
from router_svc.domain.packing import EXPERIMENT_CHARACTERS, TASK_CHARACTERS, VARIANT_CHARACTERS
from router_svc.domain.snapshot import Deployment, Target, Task


def take_in(board: Board, event: Event) -> bool:
    """Applies one fact; it counts from the next request on.

    Returns:
        False if something as new was known already.

    Raises:
        InvalidPayload: a name or an epoch in it does not fit into inference ids.
    """
    before = board.snapshot
    match event:
        case TaskDefined():
            board.snapshot = before.with_task(_task(event))
        case DeploymentChanged():
            board.snapshot = before.with_deployment(_deployment(event))
        case ExperimentChanged():
            board.snapshot = before.with_experiment(_experiment(event))
        case _:
            raise TypeError(f"{type(event).__name__} is no part of the snapshot")
    return board.snapshot is not before


def _task(event: TaskDefined) -> Task:
    return Task(
        task_id=_fitting(event.task_id, TASK_CHARACTERS),
        version=event.version,
        title=event.title,
        system=event.prompt.system,
        user_template=event.prompt.user,
        response_format=None if event.answer_schema is None else _response_format(event),
        store_content=event.privacy.store_content,
        defined_at=event.defined_at,
        seal_content=event.privacy.seal_content,
        mask_content=event.privacy.mask_content,
        retrieval=event.retrieval,
    )


def _response_format(event: TaskDefined) -> bytes:
    name = re.sub(r"[^A-Za-z0-9_-]", "-", event.task_id)[:64]  # the OpenAI API takes no other names
    schema = {"name": name, "schema": event.answer_schema, "strict": True}
    return msgspec.json.encode({"type": "json_schema", "json_schema": schema})


def _deployment(event: DeploymentChanged) -> Deployment:
    return Deployment(
        task_id=_fitting(event.task_id, TASK_CHARACTERS),
        revision=event.revision,
        champion=_target(event.champion),
        candidates=tuple(_target(candidate) for candidate in event.candidates),
    )


def _target(deployed: DeployedVariant) -> Target:
    variant = deployed.variant
    defaults: dict[str, float] = {
        "temperature": variant.generation.temperature,
        "top_p": variant.generation.top_p,
        "max_tokens": variant.generation.max_tokens,
    }
    return Target(
        variant_id=_fitting(variant.variant_id, VARIANT_CHARACTERS),
        served_name=variant.served_name,
        backend_urls=deployed.backend_urls,
        defaults={name: msgspec.json.encode(value) for name, value in defaults.items()},
    )


def _experiment(event: ExperimentChanged) -> Experiment:
    running = event.state is ExperimentState.RUNNING
    weights = [
        (_fitting(arm.variant_id, VARIANT_CHARACTERS), arm.weight_0_1)
        for arm in (event.champion, event.candidate, *event.further_candidates)
    ]
    return Experiment(
        experiment_id=_fitting(event.experiment_id, EXPERIMENT_CHARACTERS),
        task_id=_fitting(event.task_id, TASK_CHARACTERS),
        revision=event.revision,
        running=running,
        kind=event.kind,
        epoch=_countable(event.epoch),
        arms=arms_of(weights),
        split=split_of(event.salt, weights),
        coverage_0_1=event.coverage_0_1,
        coverage=coverage_of(event.salt, event.coverage_0_1),
        layer=None if event.layer is None else _layer_part(event.layer),
        hold_out=None if event.hold_out is None else _layer_part(event.hold_out),
        # lists of those that have ended would only fill the memory
        excluded=frozenset(event.excluded_units if running else ()),
        forced=_forced(event) if running else {},
    )


def _layer_part(layer: Layer) -> LayerPart:
    return layer_part(layer.name, salt=layer.salt, from_0_1=layer.from_0_1, to_0_1=layer.to_0_1)


def _forced(event: ExperimentChanged) -> dict[str, str]:
    return {unit: _fitting(variant_id, VARIANT_CHARACTERS) for unit, variant_id in event.forced_units.items()}


def _countable(epoch: int) -> int:
    if epoch > MOST_EPOCHS:
        raise InvalidPayload("router.epoch-too-high", f"epoch {epoch} is over {MOST_EPOCHS}: no inference id holds it")
    return epoch


def _fitting(name: str, characters: int) -> str:
    if len(name) > characters:
        raise InvalidPayload(
            "router.name-too-long", f"{name!r} has over {characters} characters: no inference id holds it"
        )
    return name
