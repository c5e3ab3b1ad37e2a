"""What people may do to experiments: create, start, ramp, stop without a winner, conclude with one."""

from dataclasses import dataclass, field
from datetime import datetime

from feedback_svc.domain.assessment import NewWeights
from feedback_svc.domain.experiments import (
    Ending,
    Experiment,
    ExperimentState,
    Verdict,
    check_open,
    check_revision,
    ending_by_choice,
    even_weights,
    queued,
)
from feedback_svc.domain.serving import Serving
from feedback_svc.domain.terms import Terms, agreed
from feedback_svc.handlers.experiments import (
    change_weights,
    end_experiment,
    new_experiment_id,
    new_salt,
    open_experiment,
    queue_experiment,
    start_next,
)
from feedback_svc.store.experiments import find_experiment, get_experiment, list_open
from feedback_svc.store.tasks import Task, find_serving, get_task, list_served_tasks
from loopwright.contracts.experiments import ExperimentKind, Layer
from loopwright.errors import Conflict, Invalid
from loopwright.telemetry import current_traceparent
from loopwright.unit_of_work import Work

SUCCESS_METRIC = "user_rating"  # what callers name the task's own metric by


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who asks for something, and of which state of the experiment.

    Attributes:
        revision: What the caller saw; None to ask whatever has happened since.
    """

    experiment_id: str
    by: str
    at: datetime
    revision: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateExperiment:
    """A person's wish to try candidates against the variant in charge.

    Attributes:
        task_id: None for the one that the variants serve.
        champion_id: Variant that is held to be in charge; None for whichever is.
        candidate_ids: At least one.
        metric: Name of the task's success metric, or `SUCCESS_METRIC`.
        layer: Name and range of the units that may take part; None for all.
        start: Whether it waits for its turn at once; else it stays a draft.
    """

    name: str
    task_id: str | None
    champion_id: str | None
    candidate_ids: tuple[str, ...]
    terms: Terms
    by: str
    metric: str = SUCCESS_METRIC
    kind: ExperimentKind = ExperimentKind.AB
    layer: tuple[str, float, float] | None = None
    excluded_units: tuple[str, ...] = ()
    forced_units: dict[str, str] = field(default_factory=dict[str, str])
    start: bool = True


async def create_experiment(wish: CreateExperiment, work: Work, *, now: datetime) -> str:
    """Opens an experiment against the variant in charge; it waits if another one that shares its units runs.

    Returns:
        Its id.

    Raises:
        NotFound: there is no such task.
        Conflict: a candidate is not deployed beside the champion, or is on trial already.
        Invalid: the metric is not the task's, the terms do not fit together, or several tasks could be meant.
    """
    task = await get_task(work.session, await _task_of(wish, work), lock=True)
    serving = _fitting_deployment(wish, await find_serving(work.session, task.task_id))
    if wish.metric not in {SUCCESS_METRIC, task.policies.success_metric.name}:
        raise Invalid("experiment.unknown-metric", f"{task.task_id} is decided by {task.policies.success_metric.name}")
    opened = await list_open(work.session, task.task_id)
    on_trial = {candidate for one in opened for candidate in one.candidate_ids} & set(wish.candidate_ids)
    if on_trial:
        raise Conflict("experiment.candidate-on-trial", f"{min(on_trial)} waits or is on trial already")
    experiment = _experiment_of(wish, task, serving, now=now)
    await open_experiment(experiment, work, now=now, why=f"created by {wish.by}")
    return experiment.experiment_id


async def _task_of(wish: CreateExperiment, work: Work) -> str:
    if wish.task_id is not None:
        return wish.task_id
    variants = {*wish.candidate_ids} | ({wish.champion_id} if wish.champion_id else set())
    found = await list_served_tasks(work.session, variants)
    if not found:
        raise Conflict("experiment.candidate-not-deployed", "no task is served by these variants")
    if len(found) > 1:
        raise Invalid("experiment.task-unclear", f"these variants serve {', '.join(found[:5])}: name the task")
    return found[0]


def _fitting_deployment(wish: CreateExperiment, serving: Serving | None) -> Serving:
    for candidate in wish.candidate_ids:
        if serving is None or candidate not in serving.candidate_variant_ids:
            raise Conflict("experiment.candidate-not-deployed", f"{candidate} is not deployed as a candidate")
    assert serving is not None, "there is at least one candidate"
    if wish.champion_id not in {None, serving.champion_variant_id}:
        raise Conflict(
            "experiment.not-in-charge", f"{serving.champion_variant_id} is in charge, not {wish.champion_id}"
        )
    unknown = set(wish.forced_units.values()) - {serving.champion_variant_id, *wish.candidate_ids}
    if unknown:
        raise Invalid("experiment.unknown-variant", f"units are forced to {min(unknown)}, which takes no part")
    return serving


def _experiment_of(wish: CreateExperiment, task: Task, serving: Serving, *, now: datetime) -> Experiment:
    rollout = agreed(task.policies.rollout, wish.terms)
    return Experiment(
        experiment_id=new_experiment_id(),
        name=wish.name,
        task_id=task.task_id,
        kind=wish.kind,
        state=ExperimentState.DRAFT,
        salt=new_salt(),
        champion_variant_id=serving.champion_variant_id,
        candidate_variant_id=wish.candidate_ids[0],
        further_candidate_ids=wish.candidate_ids[1:],
        weights_0_1=even_weights(rollout.candidate_share_0_1, len(wish.candidate_ids)),
        metric=task.policies.success_metric,
        rollout=rollout,
        layer=_layer_of(wish, task),
        excluded_units=wish.excluded_units,
        forced_units=wish.forced_units,
        known_at=serving.changed_at,
        traceparent=current_traceparent(),
        created_at=now,
        created_by=wish.by,
        queued_at=now if wish.start else None,
    )


def _layer_of(wish: CreateExperiment, task: Task) -> Layer | None:
    """Experiments of one layer divide the same order of units: its salt is that of the task and the name."""
    if wish.layer is None:
        return None
    name, from_0_1, to_0_1 = wish.layer
    return Layer(name=name, salt=f"layer:{task.task_id}:{name}", from_0_1=from_0_1, to_0_1=to_0_1)


async def start_experiment(request: Request, work: Work) -> None:
    """Lets a draft wait for its turn, which may be now.

    Raises:
        NotFound: there is no such experiment.
        Conflict: it is no draft, waits already, or has changed since the caller looked.
    """
    experiment = await _lock_open(request, work)
    await queue_experiment(experiment, queued(experiment, now=request.at), work, by=request.by, now=request.at)


async def ramp_experiment(request: Request, work: Work, *, share_0_1: float) -> None:
    """Gives the candidates a larger share of the units: a new epoch, in which nobody leaves a candidate.

    Raises:
        NotFound: there is no such experiment.
        Conflict: it does not run, or has changed since the caller looked.
        Invalid: the share is not larger than it is.
    """
    experiment = await _lock_open(request, work)
    weights = experiment.with_share(share_0_1).weights_0_1
    wanted = NewWeights(weights_0_1=weights, reason=f"{request.by} gave the candidates {share_0_1:.0%} of the units")
    await change_weights(experiment, wanted, work, by=request.by, now=request.at)


async def stop_experiment(request: Request, work: Work) -> None:
    """Ends an experiment without a winner.

    Raises:
        NotFound: there is no such experiment.
        Conflict: it has ended already, or has changed since the caller looked.
    """
    experiment = await _lock_open(request, work)
    reason = f"stopped by {request.by}"
    await _end(experiment, Ending(verdict=Verdict.STOPPED, reason=reason, at=request.at, by=request.by), work)


async def conclude_experiment(request: Request, work: Work, *, winner_variant_id: str) -> None:
    """Ends an experiment with the winner that a person names.

    Raises:
        NotFound: there is no such experiment.
        Conflict: it has ended already, never ran, or has changed since the caller looked.
        Invalid: the winner took no part in it.
    """
    experiment = await _lock_open(request, work)
    await _end(experiment, ending_by_choice(experiment, winner_variant_id, by=request.by, now=request.at), work)


async def _lock_open(request: Request, work: Work) -> Experiment:
    task_id = (await get_experiment(work.session, request.experiment_id)).task_id
    await get_task(work.session, task_id, lock=True)
    experiment = await find_experiment(work.session, request.experiment_id, lock=True)
    assert experiment is not None, "experiments are never deleted"
    check_open(experiment)
    check_revision(experiment, request.revision)
    return experiment


async def _end(experiment: Experiment, ending: Ending, work: Work) -> None:
    await end_experiment(experiment, ending, work)
    await start_next(experiment.task_id, work, now=ending.at)
