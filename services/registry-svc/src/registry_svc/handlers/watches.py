"""Watches over new champions: begun by every promotion, ended by time, by a change of the champion, or by harm."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from loopwright.contracts.records import AlertRaised, Severity
from loopwright.contracts.tasks import GuardrailPolicy
from loopwright.unit_of_work import Work
from registry_svc.domain.guardrails import Figures
from registry_svc.domain.models import VariantId
from registry_svc.store.deployments import get_deployment
from registry_svc.store.tasks import get_task
from registry_svc.store.watches import Watch, WatchState, find_watch, list_open_watches, save_watch

ROLLED_BACK = "deployment.rolled-back"
HARMED = "experiment.candidate-harmful"
STUCK = "deployment.rollback-impossible"


async def begin_watch(task_id: str, work: Work, *, champion: VariantId, revision: int) -> None:
    """Watches a new champion for as long as its task says. The caller holds the lock on the deployment."""
    policy = await policy_of(task_id, work)
    now = datetime.now(UTC)
    ends_at = now + timedelta(seconds=policy.window_s)
    state = WatchState.WATCHING if policy.window_s else WatchState.ENDED
    watch = Watch(
        task_id=task_id, revision=revision, champion=champion, state=state, reason="", baseline=None, started_at=now,
        ends_at=ends_at,
    )  # fmt: skip
    await save_watch(work.session, watch)


async def order_rollback(task_id: str, work: Work, *, champion: VariantId, revision: int, reason: str) -> None:
    """Marks a champion as harmful: it is rolled back as soon as the servers let us. The caller holds the lock."""
    await begin_watch(task_id, work, champion=champion, revision=revision)
    watch = await find_watch(work.session, task_id)
    assert watch is not None, "begin_watch saves one"
    await save_watch(work.session, replace(watch, state=WatchState.HARMFUL, reason=reason))


async def open_watches(work: Work) -> tuple[tuple[Watch, GuardrailPolicy], ...]:
    """Every watch that is open, with what its task allows; those whose champion is gone are ended."""
    found: list[tuple[Watch, GuardrailPolicy]] = []
    for watch in await list_open_watches(work.session):
        deployment = await get_deployment(work.session, watch.task_id, lock=True)
        if deployment.champion == watch.champion:
            found.append((watch, await policy_of(watch.task_id, work)))
        else:
            await end_watch(watch.task_id, work, reason=f"{deployment.champion} was put in charge meanwhile")
    return tuple(found)


async def keep_baseline(watch: Watch, figures: Figures, work: Work) -> None:
    """Remembers what the router had counted before."""
    current = await find_watch(work.session, watch.task_id)
    if current == watch:
        await save_watch(work.session, replace(watch, baseline=figures))


async def mark_harmful(watch: Watch, work: Work, *, reason: str) -> None:
    """Has a champion rolled back."""
    current = await find_watch(work.session, watch.task_id)
    if current == watch:
        await save_watch(work.session, replace(watch, state=WatchState.HARMFUL, reason=reason))


async def end_watch(task_id: str, work: Work, *, reason: str) -> None:
    watch = await find_watch(work.session, task_id)
    if watch is not None and watch.state is not WatchState.ENDED:
        await save_watch(work.session, replace(watch, state=WatchState.ENDED, reason=reason))


async def policy_of(task_id: str, work: Work) -> GuardrailPolicy:
    return (await get_task(work.session, task_id)).pack.rollout.guardrail


def raise_alert(work: Work, *, kind: str, severity: Severity, task_id: str, detail: str) -> None:
    """Calls a person."""
    work.announce(
        AlertRaised(
            alert_id=f"{kind}:{uuid.uuid4()}",
            severity=severity,
            kind=kind,
            task_id=task_id,
            detail=detail,
            raised_at=datetime.now(UTC),
        )
    )
