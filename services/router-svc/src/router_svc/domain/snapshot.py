"""What the router knows of tasks, deployments and experiments: immutable values, replaced as a whole by every change."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from loopwright.errors import NotFound, ServingUnavailable
from router_svc.domain.assignment import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task as serving needs it.

    Attributes:
        response_format: JSON of the request field that makes answers fit the task's schema; None for free text.
        store_content: Whether conversations may leave the router.
    """

    task_id: str
    version: int
    title: str
    system: str
    user_template: str
    response_format: bytes | None
    store_content: bool
    defined_at: datetime


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
        everything = (self.champion, *self.candidates)
        return next((target for target in everything if target.variant_id == variant_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One experiment as assignment needs it."""

    experiment_id: str
    task_id: str
    revision: int
    running: bool
    champion_id: str
    candidate_id: str
    candidate_weight_0_1: float
    split: Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Who answers one request.

    Attributes:
        variant_id: The assigned variant (intention to treat), even if nothing can answer for it now.
        targets: Whom to ask, in order; the first that answers has the request.
    """

    task: Task
    variant_id: str
    targets: tuple[Target, ...]
    experiment_id: str | None = None
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a request is decided by. The highest version of each thing wins, in whatever order they come.

    Attributes:
        experiments: All that are known, also ended ones, by id.
        running: The one that splits a task's traffic, by task; of several, which nobody should start, the first by id.
    """

    tasks: Mapping[str, Task]
    deployments: Mapping[str, Deployment]
    experiments: Mapping[str, Experiment]
    running: Mapping[str, Experiment]

    def with_task(self, task: Task) -> "Snapshot":
        known = self.tasks.get(task.task_id)
        if known is not None and known.version >= task.version:
            return self
        return replace(self, tasks={**self.tasks, task.task_id: task})

    def with_deployment(self, deployment: Deployment) -> "Snapshot":
        known = self.deployments.get(deployment.task_id)
        if known is not None and known.revision >= deployment.revision:
            return self
        return replace(self, deployments={**self.deployments, deployment.task_id: deployment})

    def with_experiment(self, experiment: Experiment) -> "Snapshot":
        known = self.experiments.get(experiment.experiment_id)
        if known is not None and known.revision >= experiment.revision:
            return self
        experiments = {**self.experiments, experiment.experiment_id: experiment}
        # the smallest id comes last and stays
        by_id = sorted(experiments.values(), key=lambda one: one.experiment_id, reverse=True)
        return replace(self, experiments=experiments, running={one.task_id: one for one in by_id if one.running})

    def route(self, model: str, unit: str) -> Route:
        """Decides who answers for `model`, a task or `<task>@<variant_id>`.

        Raises:
            NotFound: no such task, or no such variant of it.
            ServingUnavailable: nothing is deployed for the task yet.
        """
        task_id, _, variant_id = (model, "", "") if model in self.tasks else model.partition("@")
        task = self.tasks.get(task_id)
        if task is None:
            raise NotFound("router.unknown-model", f"The model `{model[:200]}` does not exist", model=model[:200])
        deployment = self.deployments.get(task_id)
        if deployment is None:
            raise ServingUnavailable("router.not-deployed", f"Nothing is deployed for the task `{task_id}` yet")
        if variant_id:
            return _pinned(task, deployment, variant_id)
        experiment = self.running.get(task_id)
        if experiment is None:
            return Route(task=task, variant_id=deployment.champion.variant_id, targets=(deployment.champion,))
        return _assigned(task, deployment, experiment, unit)


def _pinned(task: Task, deployment: Deployment, variant_id: str) -> Route:
    target = deployment.find(variant_id)
    if target is None:
        model = f"{task.task_id}@{variant_id}"[:200]
        raise NotFound("router.unknown-model", f"The model `{model}` does not exist", model=model)
    # whoever asks for a variant by name wants that one or none: no fallback
    return Route(task=task, variant_id=variant_id, targets=(target,), pinned=True)


def _assigned(task: Task, deployment: Deployment, experiment: Experiment, unit: str) -> Route:
    variant_id = experiment.candidate_id if experiment.split.is_candidate(unit) else experiment.champion_id
    target = deployment.find(variant_id)
    champion = deployment.champion
    targets = (champion,) if target in (None, champion) else (target, champion)
    return Route(task=task, variant_id=variant_id, targets=targets, experiment_id=experiment.experiment_id)


EMPTY = Snapshot(tasks={}, deployments={}, experiments={}, running={})
