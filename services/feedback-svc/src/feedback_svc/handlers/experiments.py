"""How experiments begin, change and end. Every function here expects the caller to hold the lock on the task."""

import secrets
import uuid
from dataclasses import replace
from datetime import datetime

from feedback_svc.domain.assessment import NewWeights, assess
from feedback_svc.domain.experiments import BY_EVIDENCE, Ending, Experiment, ExperimentState, Verdict
from feedback_svc.domain.reports import Report, report_of
from feedback_svc.domain.serving import awaits_promotion, champion_at_start, next_to_start, why_untenable
from feedback_svc.handlers.announcing import announce_change, announce_end
from feedback_svc.store.experiments import (
    Change,
    add_change,
    add_epoch,
    add_experiment,
    find_last_ended,
    list_open,
    save_experiment,
)
from feedback_svc.store.observations import observe
from feedback_svc.store.tasks import find_serving
from loopwright.contracts.experiments import ExperimentKind
from loopwright.unit_of_work import Work

_SALT_BYTES = 16
_PASSED = (Verdict.EQUIVALENT, Verdict.INCONCLUSIVE)


def new_experiment_id() -> str:
    """A short id: it travels inside every inference id."""
    return f"exp-{uuid.uuid4().hex[:12]}"


def new_salt() -> str:
    return secrets.token_hex(_SALT_BYTES)


async def open_experiment(experiment: Experiment, work: Work, *, now: datetime, why: str) -> None:
    """Adds a draft; if it is queued it starts at once, unless another one is in its way."""
    await add_experiment(work.session, experiment)
    await _record(None, experiment, work, at=now, by=experiment.created_by, why=why)
    await start_next(experiment.task_id, work, now=now)


async def queue_experiment(before: Experiment, after: Experiment, work: Work, *, by: str, now: datetime) -> None:
    """Lets a draft wait for its turn, which may be now."""
    await save_experiment(work.session, after)
    await _record(before, after, work, at=now, by=by, why=f"{by} lets it start")
    await start_next(after.task_id, work, now=now)


async def start_next(task_id: str, work: Work, *, now: datetime) -> None:
    """Starts what has waited longest, if nothing that runs shares units with it and no promotion is under way."""
    opened = await list_open(work.session, task_id)
    serving = await find_serving(work.session, task_id)
    waiting = [one for one in opened if one.queued_at is not None and why_untenable(one, serving) is None]
    if not waiting or awaits_promotion(await find_last_ended(work.session, task_id), serving):
        return
    active = [one for one in opened if one.is_active]
    while (chosen := next_to_start(waiting, active)) is not None:
        waiting.remove(chosen)
        running = chosen.started(champion_variant_id=champion_at_start(chosen, serving), now=now)
        active.append(running)
        await _begin_epoch(chosen, running, work, at=now, by=chosen.created_by, why="its turn has come")


async def change_weights(experiment: Experiment, wanted: NewWeights, work: Work, *, by: str, now: datetime) -> None:
    """Begins an epoch with other weights, and tells the router."""
    changed = experiment.with_weights(wanted.weights_0_1)
    await _begin_epoch(experiment, changed, work, at=now, by=by, why=wanted.reason)


async def end_experiment(experiment: Experiment, ending: Ending, work: Work) -> None:
    """Ends an experiment and says so, with the evidence in full, in the trace that led to it.

    What was found is kept as it is at this moment: what arrives later changes no conclusion. An A/A check or a shadow
    that passed concerns nobody but the router; if more was to come, it is opened.
    """
    ended = experiment.ended(ending)
    report = await report_on(experiment, work)
    await save_experiment(work.session, ended, findings=report)
    await _record(experiment, ended, work, at=ending.at, by=ending.by, why=ending.reason)
    if experiment.is_active:  # the router never heard of a draft
        announce_change(ended, work, at=ending.at)
    if experiment.kind is ExperimentKind.AB or ending.verdict not in _PASSED:
        await announce_end(ended, ending, report, work)
    elif experiment.rollout.preludes:
        await _open_next_of(ended, work, at=ending.at)


async def report_on(experiment: Experiment, work: Work) -> Report:
    """The figures of an experiment as they stand."""
    observed = await observe(work.session, experiment, in_full=True)
    return report_of(assess(experiment, observed), observed)


async def _open_next_of(ended: Experiment, work: Work, *, at: datetime) -> None:
    """What an A/A check or a shadow was the prelude of; it takes that one's place in the queue."""
    following = staged(
        replace(
            ended,
            experiment_id=new_experiment_id(),
            salt=new_salt(),
            state=ExperimentState.DRAFT,
            kind=ExperimentKind.AB,
            rollout=ended.rollout.model_copy(update={"preludes": ended.rollout.preludes[1:]}),
            revision=0,
            epoch=0,
            queued_at=ended.created_at,
            started_at=None,
            ended_at=None,
            verdict=None,
            reason=None,
            concluded_by=None,
        )
    )
    await add_experiment(work.session, following)
    await _record(None, following, work, at=at, by=BY_EVIDENCE, why=f"{ended.experiment_id} passed")


def staged(experiment: Experiment) -> Experiment:
    """An experiment that begins with the first prelude of its policy, if there is one."""
    preludes = experiment.rollout.preludes
    return replace(experiment, kind=ExperimentKind(preludes[0].kind)) if preludes else experiment


async def _begin_epoch(before: Experiment, after: Experiment, work: Work, *, at: datetime, by: str, why: str) -> None:
    await save_experiment(work.session, after)
    await add_epoch(work.session, after, began_at=at)
    await _record(before, after, work, at=at, by=by, why=why)
    announce_change(after, work, at=at)


async def _record(before: Experiment | None, after: Experiment, work: Work, *, at: datetime, by: str, why: str) -> None:
    change = Change(
        from_state=before.state if before else None,
        to_state=after.state,
        epoch=after.epoch,
        changed_at=at,
        changed_by=by,
        reason=why,
    )
    await add_change(work.session, after.experiment_id, change)
