"""What people may do to experiments: create, stop without a winner, conclude with one."""

from dataclasses import dataclass
from datetime import datetime

from feedback_svc.domain.experiments import (
    Experiment,
    ExperimentState,
    check_open,
    check_share,
    outcome_for_winner,
)
from feedback_svc.handlers.evaluations import new_experiment_id, new_salt
from feedback_svc.handlers.experiments import Ending, end_experiment, open_experiment, start_next
from feedback_svc.handlers.measuring import recomputed
from feedback_svc.store.experiments import find_experiment, get_experiment, list_open
from feedback_svc.store.tasks import find_serving, get_task
from loopwright.contracts.experiments import Outcome
from loopwright.errors import Conflict
from loopwright.telemetry import current_traceparent
from loopwright.unit_of_work import Work


@dataclass(frozen=True, kw_only=True)
class CreateExperiment:
    """A person's wish to try a candidate.

    Attributes:
        candidate_share_0_1: None for the share of the task's rollout policy.
    """

    name: str
    task_id: str
    candidate_variant_id: str
    candidate_share_0_1: float | None
    by: str


async def create_experiment(wish: CreateExperiment, work: Work, *, now: datetime) -> str:
    """Opens an experiment against the variant in charge; it waits if another of the task runs.

    Returns:
        Its id.

    Raises:
        NotFound: there is no such task.
        Conflict: the candidate is not deployed beside a champion, or is on trial already.
        Invalid: the share leaves an arm empty.
    """
    task = await get_task(work.session, wish.task_id, lock=True)
    serving = await find_serving(work.session, wish.task_id)
    if serving is None or wish.candidate_variant_id not in serving.candidate_variant_ids:
        raise Conflict(
            "experiment.candidate-not-deployed", f"{wish.candidate_variant_id} is not deployed as a candidate"
        )
    opened = await list_open(work.session, wish.task_id)
    if any(experiment.candidate_variant_id == wish.candidate_variant_id for experiment in opened):
        raise Conflict("experiment.candidate-on-trial", f"{wish.candidate_variant_id} waits or is on trial already")
    rollout = task.policies.rollout
    share = rollout.candidate_share_0_1 if wish.candidate_share_0_1 is None else wish.candidate_share_0_1
    check_share(share)
    experiment = Experiment(
        experiment_id=new_experiment_id(),
        name=wish.name,
        task_id=wish.task_id,
        state=ExperimentState.WAITING,
        salt=new_salt(),
        revision=0,
        champion_variant_id=serving.champion_variant_id,
        candidate_variant_id=wish.candidate_variant_id,
        candidate_share_0_1=share,
        metric=task.policies.success_metric,
        rollout=rollout,
        known_at=serving.changed_at,
        traceparent=current_traceparent(),
        created_at=now,
        created_by=wish.by,
    )
    await open_experiment(experiment, work, now=now)
    return experiment.experiment_id


async def stop_experiment(experiment_id: str, work: Work, *, by: str, now: datetime) -> None:
    """Ends an experiment without a winner.

    Raises:
        NotFound: there is no such experiment.
        Conflict: it has ended already.
    """
    experiment = await _lock_open(experiment_id, work)
    await _end(experiment, Ending(outcome=Outcome.STOPPED, reason=f"stopped by {by}", at=now, by=by), work)


async def conclude_experiment(
    experiment_id: str, work: Work, *, winner_variant_id: str, by: str, now: datetime
) -> None:
    """Ends an experiment with the winner that a person names.

    Raises:
        NotFound: there is no such experiment.
        Conflict: it has ended already, or never ran.
        Invalid: the winner took no part in it.
    """
    experiment = await _lock_open(experiment_id, work)
    outcome = outcome_for_winner(experiment, winner_variant_id)
    reason = f"{by} named {winner_variant_id} the winner"
    await _end(experiment, Ending(outcome=outcome, reason=reason, at=now, by=by), work)


async def _lock_open(experiment_id: str, work: Work) -> Experiment:
    task_id = (await get_experiment(work.session, experiment_id)).task_id
    await get_task(work.session, task_id, lock=True)
    experiment = await find_experiment(work.session, experiment_id, lock=True)
    assert experiment is not None, "experiments are never deleted"
    check_open(experiment)
    return experiment


async def _end(experiment: Experiment, ending: Ending, work: Work) -> None:
    if experiment.state is ExperimentState.RUNNING:
        experiment = await recomputed(experiment, work)
    await end_experiment(experiment, ending, work)
    await start_next(experiment.task_id, work, now=ending.at)
