"""What the router knows of tasks, deployments and experiments: immutable values, replaced as a whole by every change."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from loopwright.contracts.tasks import Retrieval
from loopwright.errors import NotFound, ServingUnavailable
from router_svc.domain.assignment import Section, unit_bytes
from router_svc.domain.experiments import Experiment
from router_svc.domain.inference_ids import origin_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task as serving needs it.

    Attributes:
        response_format: JSON of the request field that makes answers fit the task's schema; None for free text.
        store_content: Whether conversations may leave the router.
        seal_content: Whether they leave it sealed.
        mask_content: Whether personal data in them is masked before.
        retrieval: Similar cases that are put beside the question; None for none.
    """

    task_id: str
    version: int
    title: str
    system: str
    user_template: str
    response_format: bytes | None
    store_content: bool
    defined_at: datetime
    seal_content: bool = False
    mask_content: bool = False
    retrieval: Retrieval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A variant together with the servers that answer for it.

    Attributes:
        defaults: JSON of generation parameters that a request gets unless it brings its own.
    """

    variant_id: str
    served_name: str
    backend_urls: tuple[str, ...]
    defaults: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is loaded for one task."""

    task_id: str
    revision: int
    champion: Target
    candidates: tuple[Target, ...]

    def find(self, variant_id: str) -> Target | None:
        return next((target for target in self.targets if target.variant_id == variant_id), None)

    @property
    def targets(self) -> tuple[Target, ...]:
        return (self.champion, *self.candidates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """Whom a request is copied to; nobody sees that answer."""

    experiment_id: str
    epoch: int
    arm: int
    propensity_0_1: float
    target: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Who answers one request. Made once and shared by all requests that are answered alike.

    Attributes:
        variant_id: The assigned variant (intention to treat), even if nothing can answer for it now.
        targets: Whom to ask, in order; the first that answers has the request.
        pinned: The variant was asked for by name, or forced for a tester's unit: no experiment counts it.
        arm: Number of the arm; 0 is the champion's.
        propensity_0_1: Probability with which a unit that takes part gets this arm.
        origin: What all ids have in common that are issued for it.
    """

    task: Task
    variant_id: str
    targets: tuple[Target, ...]
    experiment_id: str | None = None
    pinned: bool = False
    epoch: int | None = None
    arm: int | None = None
    propensity_0_1: float | None = None
    shadow: Shadow | None = None
    origin: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        origin = origin_of(
            self.task.task_id, self.task.version, self.experiment_id, self.variant_id, epoch=self.epoch, arm=self.arm
        )
        object.__setattr__(self, "origin", origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A running experiment and what each of its arms gets: an answer, or a copy of the request."""

    experiment: Experiment
    routes: tuple[Route, ...] = ()
    shadows: tuple[Shadow | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """All that requests of one task can come to, made when something of the task changes.

    Attributes:
        champion: The route of whoever takes part in nothing.
        forced: Routes of testers' units, by hash.
        hold_outs: Units that take part in nothing.
        shown: Experiments whose arms answer, by id: the first that takes a unit has it.
        copied: Experiments that only listen, likewise.
    """

    champion: Route
    forced: Mapping[str, Route]
    hold_outs: tuple[Section, ...]
    shown: tuple[Choice, ...]
    copied: tuple[Choice, ...]

    def route(self, unit: str, unit_hash: str) -> Route:
        if unit_hash in self.forced:
            return self.forced[unit_hash]
        if not (self.shown or self.copied):
            return self.champion
        unit_id = unit_bytes(unit)
        if self.hold_outs and any(section.holds(unit_id) for section in self.hold_outs):
            return self.champion
        shown = _first_that_takes(self.shown, unit_id, unit_hash)
        route = self.champion if shown is None else shown.routes[shown.experiment.split.arm_of(unit_id)]
        copied = _first_that_takes(self.copied, unit_id, unit_hash) if self.copied else None
        shadow = None if copied is None else copied.shadows[copied.experiment.split.arm_of(unit_id)]
        return route if shadow is None else replace(route, shadow=shadow)


def _first_that_takes(choices: tuple[Choice, ...], unit: bytes, unit_hash: str) -> Choice | None:
    for choice in choices:
        if choice.experiment.absence_of(unit, unit_hash) is None:
            return choice
    return None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a request is decided by. The highest version of each thing wins, in whatever order they come.

    Attributes:
        experiments: All that are known, also ended ones, by id.
        running: Those that run, by task, in the order of their ids.
        answering: What requests for a task come to, by task; only of deployed ones.
        pinned: Routes of variants that are asked for by name, by `<task>@<variant_id>`.
    """

    tasks: Mapping[str, Task]
    deployments: Mapping[str, Deployment]
    experiments: Mapping[str, Experiment]
    running: Mapping[str, tuple[Experiment, ...]]
    answering: Mapping[str, Answering]
    pinned: Mapping[str, Route]

    def with_task(self, task: Task) -> "Snapshot":
        known = self.tasks.get(task.task_id)
        if known is not None and known.version >= task.version:
            return self
        return _prepared(replace(self, tasks={**self.tasks, task.task_id: task}), task.task_id)

    def with_deployment(self, deployment: Deployment) -> "Snapshot":
        known = self.deployments.get(deployment.task_id)
        if known is not None and known.revision >= deployment.revision:
            return self
        task_id = deployment.task_id
        gone = {f"{task_id}@{target.variant_id}" for target in known.targets} if known is not None else set[str]()
        pinned = {model: route for model, route in self.pinned.items() if model not in gone}
        return _prepared(replace(self, deployments={**self.deployments, task_id: deployment}, pinned=pinned), task_id)

    def with_experiment(self, experiment: Experiment) -> "Snapshot":
        known = self.experiments.get(experiment.experiment_id)
        if known is not None and known.revision >= experiment.revision:
            return self
        experiments = {**self.experiments, experiment.experiment_id: experiment}
        after = replace(self, experiments=experiments)
        for task_id in {experiment.task_id} | ({known.task_id} if known is not None else set()):
            mine = [one for one in self.running.get(task_id, ()) if one.experiment_id != experiment.experiment_id]
            if experiment.running and experiment.task_id == task_id:
                mine.append(experiment)
            running = {**after.running, task_id: tuple(sorted(mine, key=lambda one: one.experiment_id))}
            after = _prepared(replace(after, running=running), task_id)
        return after

    def route(self, model: str, unit: str, unit_hash: str) -> Route:
        """Decides who answers for `model`, a task or `<task>@<variant_id>`.

        Raises:
            NotFound: no such task, or no such variant of it.
            ServingUnavailable: nothing is deployed for the task yet.
        """
        answering = self.answering.get(model)
        if answering is not None:
            return answering.route(unit, unit_hash)
        pinned = self.pinned.get(model)
        if pinned is not None:
            return pinned
        task_id = model if model in self.tasks else model.partition("@")[0]
        if task_id not in self.tasks:
            raise NotFound("router.unknown-model", f"The model `{model[:200]}` does not exist", model=model[:200])
        if task_id not in self.deployments:
            raise ServingUnavailable("router.not-deployed", f"Nothing is deployed for the task `{task_id}` yet")
        if model == f"{task_id}@":
            return self.answering[task_id].route(unit, unit_hash)
        raise NotFound("router.unknown-model", f"The model `{model[:200]}` does not exist", model=model[:200])


def _prepared(snapshot: Snapshot, task_id: str) -> Snapshot:
    """The snapshot with the routes of one task made anew."""
    task, deployment = snapshot.tasks.get(task_id), snapshot.deployments.get(task_id)
    if task is None or deployment is None:
        return snapshot
    answering = _answering(task, deployment, snapshot.running.get(task_id, ()))
    # whoever asks for a variant by name wants that one or none: no fallback
    pinned = {
        f"{task_id}@{target.variant_id}": Route(task=task, variant_id=target.variant_id, targets=(target,), pinned=True)
        for target in deployment.targets
    }
    return replace(snapshot, answering={**snapshot.answering, task_id: answering}, pinned={**snapshot.pinned, **pinned})


def _answering(task: Task, deployment: Deployment, running: tuple[Experiment, ...]) -> Answering:
    hold_outs = [one.hold_out.section for one in running if one.hold_out is not None]
    # the first by id comes last and stays
    forced = {unit: variant_id for one in reversed(running) for unit, variant_id in one.forced.items()}
    routes = {
        variant_id: Route(task=task, variant_id=variant_id, targets=_targets(deployment, variant_id), pinned=True)
        for variant_id in set(forced.values())
    }
    return Answering(
        champion=Route(task=task, variant_id=deployment.champion.variant_id, targets=(deployment.champion,)),
        forced={unit: routes[variant_id] for unit, variant_id in forced.items()},
        hold_outs=tuple(dict.fromkeys(hold_outs)),
        shown=tuple(_shown(task, deployment, one) for one in running if not one.is_shadow),
        copied=tuple(_copied(deployment, one) for one in running if one.is_shadow),
    )


def _shown(task: Task, deployment: Deployment, experiment: Experiment) -> Choice:
    routes = tuple(
        Route(
            task=task,
            variant_id=arm.variant_id,
            targets=_targets(deployment, arm.variant_id),
            experiment_id=experiment.experiment_id,
            epoch=experiment.epoch,
            arm=number,
            propensity_0_1=arm.propensity_0_1,
        )
        for number, arm in enumerate(experiment.arms)
    )
    return Choice(experiment=experiment, routes=routes)


def _copied(deployment: Deployment, experiment: Experiment) -> Choice:
    """Nothing is copied for the champion's arm, nor to a candidate that is not loaded."""
    found = [deployment.find(arm.variant_id) if number else None for number, arm in enumerate(experiment.arms)]
    shadows = tuple(
        None
        if target is None
        else Shadow(
            experiment_id=experiment.experiment_id,
            epoch=experiment.epoch,
            arm=number,
            propensity_0_1=arm.propensity_0_1,
            target=target,
        )
        for number, (arm, target) in enumerate(zip(experiment.arms, found, strict=True))
    )
    return Choice(experiment=experiment, shadows=shadows)


def _targets(deployment: Deployment, variant_id: str) -> tuple[Target, ...]:
    target, champion = deployment.find(variant_id), deployment.champion
    return (champion,) if target in (None, champion) else (target, champion)


EMPTY = Snapshot(tasks={}, deployments={}, experiments={}, running={}, answering={}, pinned={})
