"""Counting into a running experiment: units that were seen, ratings that count, and the decision after each.

Both functions take the lock on the task and on the experiment before they read any statistics: of two consumers
that hold ratings of one experiment, the second sees what the first counted, and only one of them can conclude.
"""

from datetime import datetime

from feedback_svc.domain.decisions import decide
from feedback_svc.domain.experiments import Experiment, ExperimentState, Role
from feedback_svc.domain.ratings import Admission, Rating
from feedback_svc.domain.statistics import UserStatistics, arm_of
from feedback_svc.handlers.experiments import Ending, end_experiment, start_next
from feedback_svc.store.experiment_users import find_user, is_known_unit, recompute_users, save_user
from feedback_svc.store.experiments import find_experiment, save_arms
from feedback_svc.store.tasks import find_task
from loopwright.contracts.inferences import InferenceCompleted
from loopwright.unit_of_work import Work


async def count_unit(event: InferenceCompleted, work: Work, *, now: datetime) -> None:
    """Counts the unit of an inference into the arm that it was assigned to, the first time that it is seen."""
    if event.experiment_id is None or event.pinned:
        return
    place = {"experiment_id": event.experiment_id, "variant_id": event.variant_id, "unit_hash": event.unit_hash}
    if await is_known_unit(work.session, **place):
        return
    experiment = await _lock_running(event.experiment_id, event.task_id, work)
    role = experiment.role_of(event.variant_id) if experiment else None
    if experiment is None or role is None or await is_known_unit(work.session, **place):
        return
    await save_user(work.session, UserStatistics(), **place)
    experiment = experiment.with_arm(role, experiment.arm(role).with_unit())
    await _conclude_or_keep(experiment, work, now=now)


async def count_rating(rating: Rating, admission: Admission, work: Work, *, now: datetime) -> None:
    """Counts a rating of the success metric into its unit's mean, in place of the one that it unseats."""
    if rating.experiment_id is None or rating.value is None or not admission.counts:
        return
    experiment = await _lock_running(rating.experiment_id, rating.task_id, work)
    role = experiment.role_of(rating.variant_id) if experiment else None
    if experiment is None or role is None or rating.metric != experiment.metric.name:
        return
    place = {"experiment_id": rating.experiment_id, "variant_id": rating.variant_id, "unit_hash": rating.unit_hash}
    known = await find_user(work.session, **place)
    before = known or UserStatistics()
    after = before.with_rating(rating.value, replaced=admission.unseats.value if admission.unseats else None)
    await save_user(work.session, after, **place)
    arm = experiment.arm(role) if known else experiment.arm(role).with_unit()
    await _conclude_or_keep(experiment.with_arm(role, arm.with_user(before, after)), work, now=now)


async def recomputed(experiment: Experiment, work: Work) -> Experiment:
    """The experiment with its arms summed up anew from the ratings themselves."""
    users = await recompute_users(work.session, experiment)
    for role, variant_id in (
        (Role.CHAMPION, experiment.champion_variant_id),
        (Role.CANDIDATE, experiment.candidate_variant_id),
    ):
        arm = arm_of(users.get(variant_id, []), units=experiment.arm(role).units)
        experiment = experiment.with_arm(role, arm)
    return experiment


async def _lock_running(experiment_id: str, task_id: str, work: Work) -> Experiment | None:
    if await find_task(work.session, task_id, lock=True) is None:
        return None
    experiment = await find_experiment(work.session, experiment_id, lock=True)
    if experiment is None or experiment.task_id != task_id or experiment.state is not ExperimentState.RUNNING:
        return None
    return experiment


async def _conclude_or_keep(experiment: Experiment, work: Work, *, now: datetime) -> None:
    """Keeps the new statistics, and ends the experiment if they decide it.

    The running sums propose; before anything irreversible is announced they are replaced by sums over the ratings
    themselves, so that no rounding of many small steps can tip a decision.
    """
    if decide(experiment) is not None:
        experiment = await recomputed(experiment, work)
    verdict = decide(experiment)
    await save_arms(work.session, experiment)
    if verdict is None:
        return
    await end_experiment(experiment, Ending(outcome=verdict.outcome, reason=verdict.reason, at=now), work)
    await start_next(experiment.task_id, work, now=now)
