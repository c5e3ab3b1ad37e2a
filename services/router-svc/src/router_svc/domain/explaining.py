"""Why a unit gets what it gets: the same decision as a request's, step by step, for operators."""

from dataclasses import dataclass

from loopwright.errors import NotFound
from router_svc.domain.assignment import POINTS, Section, point_of, unit_bytes
from router_svc.domain.experiments import Absence, Experiment
from router_svc.domain.snapshot import Route, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one running experiment of the task makes of the unit.

    Attributes:
        absence: Why it does not take part; None if it does.
        layer_point_0_1: Where the unit stands in the experiment's layer; None if it has none.
        coverage_point_0_1: Where the unit stands in its coverage, which begins at 0; None if it covers everybody.
        arm: Number of the arm that the unit gets if it takes part.
    """

    experiment: Experiment
    absence: Absence | None
    layer_point_0_1: float | None
    coverage_point_0_1: float | None
    arm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a unit gets, and why.

    Attributes:
        forced: The variant that a list of testers names for it.
        held_out: It takes part in nothing.
        steps: By id; the first that takes the unit assigns it, and the first shadow that does is asked too.
    """

    route: Route
    forced: str | None
    held_out: bool
    steps: tuple[Step, ...]


def explain(snapshot: Snapshot, task_id: str, *, unit: str, unit_hash: str) -> Explanation:
    """Explains the route of a unit's next request.

    Raises:
        NotFound: nothing is deployed for such a task.
    """
    answering = snapshot.answering.get(task_id)
    if answering is None:
        raise NotFound("router.unknown-task", "nothing is deployed for a task of this name", task_id=task_id[:200])
    unit_id = unit_bytes(unit)
    forced = answering.forced.get(unit_hash)
    return Explanation(
        route=answering.route(unit, unit_hash),
        forced=None if forced is None else forced.variant_id,
        held_out=any(section.holds(unit_id) for section in answering.hold_outs),
        steps=tuple(_step(one, unit_id, unit_hash) for one in snapshot.running.get(task_id, ())),
    )


def _step(experiment: Experiment, unit: bytes, unit_hash: str) -> Step:
    return Step(
        experiment=experiment,
        absence=experiment.absence_of(unit, unit_hash),
        layer_point_0_1=_place_0_1(None if experiment.layer is None else experiment.layer.section, unit),
        coverage_point_0_1=_place_0_1(experiment.coverage, unit),
        arm=experiment.split.arm_of(unit),
    )


def _place_0_1(section: Section | None, unit: bytes) -> float | None:
    return None if section is None else point_of(section.key, unit) / POINTS
