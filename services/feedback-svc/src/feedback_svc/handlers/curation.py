"""Which samples a request takes along: those that curation lets teach; the others are quarantined with a reason."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from feedback_svc.domain.curation import Candidate, Crowd, Curated, Rater, curate
from feedback_svc.domain.ratings import Criteria, Opinion, Rating, opinion_of
from feedback_svc.domain.reliability import UNKNOWN, Judgement, Reliability, estimate
from feedback_svc.store.claims import Claim, list_checked_claims, list_shared_claims
from feedback_svc.store.curation import (
    admit,
    count_exported,
    count_tenured,
    find_raters,
    find_usual,
    hold,
    list_candidates,
    list_checked,
    list_shared_judgements,
)
from feedback_svc.store.tasks import Task, get_task, list_tasks
from loopwright.unit_of_work import Work


async def look_through(task: Task, work: Work, *, now: datetime) -> Curated:
    """Decides over every sample of a task that no request has taken: what may teach is ready, the rest quarantined.

    The caller holds the lock on the task.
    """
    candidates = await list_candidates(work.session, task.task_id)
    crowd = await _crowd_behind(candidates, task, work, now=now)
    curated = curate(candidates, crowd, task.policies.retraining.curation, now=now)
    await admit(work.session, curated.taken, now=now)
    await hold(work.session, {sample_id: str(reason) for sample_id, reason in curated.held.items()}, now=now)
    return curated


async def reliabilities(task: Task, work: Work) -> dict[str, Reliability]:
    """How far each rater can be believed whose ratings others, or a person who checks, have judged as well."""
    shared = await list_shared_judgements(work.session, task.task_id)
    judgements = [
        judgement
        for inference_id, ratings in shared.items()
        for judgement in judgements_of(inference_id, ratings, task.criteria)
    ]
    claims = await list_shared_claims(work.session, _sources_of(task))
    checked = await list_checked(work.session, task.task_id) | await list_checked_claims(work.session, task.task_id)
    return estimate([*judgements, *judgements_among(claims)], checked)


def judgements_among(claims: Iterable[Claim]) -> list[Judgement]:
    """Whoever says one thing of something endorses it, and objects to whatever others say of the same."""
    by_thing: dict[tuple[str, str], list[Claim]] = defaultdict(list)
    for claim in claims:
        by_thing[claim.source, claim.group_key].append(claim)
    return [
        Judgement(one.rater, item, endorses=one.item == item)
        for said in by_thing.values()
        for item in sorted({one.item for one in said})
        for one in said
    ]


def _sources_of(task: Task) -> frozenset[str]:
    return frozenset(one.source for one in task.policies.sources)


def judgements_of(inference_id: str, ratings: list[Rating], criteria: Criteria) -> list[Judgement]:
    """What each rater says of the model's answer: a correction, or one objection among several metrics, objects."""
    endorses: dict[str, bool] = {}
    for rating in ratings:
        opinion = opinion_of(rating, criteria)
        if rating.correction is not None or opinion is Opinion.OBJECTS:
            endorses[rating.rater_hash] = False
        elif opinion is Opinion.ENDORSES:
            endorses.setdefault(rating.rater_hash, True)
    return [Judgement(rater, inference_id, endorses=one) for rater, one in endorses.items()]


async def _crowd_behind(candidates: list[Candidate], task: Task, work: Work, *, now: datetime) -> Crowd:
    policy = task.policies.retraining.curation
    names = {name for one in candidates for name in one.raters}
    known: dict[str, Rater] = {}
    if names:
        believed = await reliabilities(task, work)
        found = await find_raters(work.session, names, task_id=task.task_id, burst_s=policy.burst_s, now=now)
        known = {name: replace(rater, reliability=believed.get(name, UNKNOWN)) for name, rater in found.items()}
    return Crowd(
        raters=known,
        usual=await find_usual(work.session, task.task_id, policy, now=now),
        tenured_raters=await count_tenured(work.session, task.task_id, policy, sources=_sources_of(task), now=now),
        exported=await count_exported(work.session, task.task_id),
    )


async def reliabilities_by_task(work: Work, *, task_id: str | None) -> dict[str, dict[str, Reliability]]:
    """As `reliabilities`, of one task or of all."""
    tasks = [await get_task(work.session, task_id)] if task_id is not None else await list_tasks(work.session)
    return {task.task_id: await reliabilities(task, work) for task in tasks}
