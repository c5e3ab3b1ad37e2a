"""Evaluations that somebody asks for: begun, put off, ended. They decide nothing; the gate does."""

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from loopwright.contracts.base import Artifact
from loopwright.errors import Conflict, NotFound
from loopwright.telemetry import current_traceparent
from loopwright.unit_of_work import Work
from registry_svc.domain.deployments import Deployment
from registry_svc.domain.evaluations import Evaluation, EvaluationKind, EvaluationState, Extra
from registry_svc.domain.gate import VariantScore
from registry_svc.domain.metrics.measuring import Measurements
from registry_svc.domain.models import VariantId
from registry_svc.domain.releases import retry_delay
from registry_svc.handlers.evaluations import OpenEvaluation, opened
from registry_svc.handlers.suites import usable_suite
from registry_svc.store.deployments import get_deployment
from registry_svc.store.evaluations import add_evaluation, find_due_evaluation, get_evaluation, save_evaluation
from registry_svc.store.models import get_model
from registry_svc.store.releases import find_newest_release, find_release_of
from registry_svc.store.tasks import get_task


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a person wants to be measured.

    Attributes:
        against: None for the champion.
        suite_id: Suite whose cases are asked; None for held-out cases of the task's dataset.
    """

    candidate: VariantId
    task_id: str
    against: VariantId | None
    suite_id: str | None
    extras: frozenset[Extra]
    by: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of an evaluation.

    Attributes:
        champion: None when a version was measured alone.
    """

    candidate: VariantScore
    champion: VariantScore | None
    metrics: Measurements
    mcnemar_p: float | None
    reasons: tuple[str, ...]


async def request_evaluation(request: Request, work: Work) -> str:
    """Puts an evaluation into the queue.

    Returns:
        Its id.

    Raises:
        NotFound: there is no such task, version or suite, or nothing serves the task.
        Conflict: a version is not served, or the suite cannot be used for the task.
        Invalid: the suite's id is malformed.
    """
    task = await get_task(work.session, request.task_id)
    deployment = await get_deployment(work.session, request.task_id)
    against = request.against or deployment.champion
    for variant in (request.candidate, against):
        await get_model(work.session, variant)
    for variant in (request.candidate, against):
        _check_served(variant, deployment)
    cases = await _cases_of(request, work)
    evaluation = Evaluation(
        evaluation_id=str(uuid.uuid4()),
        kind=EvaluationKind.REQUESTED if request.suite_id is None else EvaluationKind.SUITE,
        suite_id=request.suite_id,
        task_id=request.task_id,
        task_version=task.version,
        candidate=request.candidate,
        champion=against,
        held_out_sha256=cases.sha256,
        cases=cases.artifact,
        extras=request.extras,
        traceparent=current_traceparent(),
        requested_by=request.by,
        started_at=datetime.now(UTC),
        due_at=datetime.now(UTC),
    )
    await add_evaluation(work.session, evaluation)
    return evaluation.evaluation_id


async def next_due_evaluation(work: Work) -> Evaluation | None:
    return await find_due_evaluation(work.session, datetime.now(UTC))


async def open_requested(evaluation: Evaluation, work: Work) -> OpenEvaluation:
    """An asked-for evaluation with what going on with it takes.

    Raises:
        Conflict: the task changed, or a version is not served any more.
        NotFound: nothing serves the task any more.
    """
    task = await get_task(work.session, evaluation.task_id)
    if task.version != evaluation.task_version:
        raise Conflict(
            "evaluation.task-changed",
            f"{evaluation.task_id} became version {task.version} while version {evaluation.task_version} was measured",
        )
    deployment = await get_deployment(work.session, evaluation.task_id)
    for variant in evaluation.variants:
        _check_served(variant, deployment)
    return await opened(evaluation, task, work)


async def finish_requested(evaluation_id: str, result: Result, work: Work) -> None:
    """Keeps the figures, unless the evaluation ended otherwise meanwhile."""
    evaluation = await get_evaluation(work.session, evaluation_id, lock=True)
    if evaluation.state is not EvaluationState.RUNNING:
        return
    finished = replace(
        evaluation, state=EvaluationState.FINISHED, candidate_score=result.candidate, champion_score=result.champion,
        mcnemar_p=result.mcnemar_p, metrics=result.metrics, reasons=result.reasons, waits_for=None,
        finished_at=datetime.now(UTC),
    )  # fmt: skip
    await save_evaluation(work.session, finished)


async def postpone_requested(evaluation_id: str, work: Work, *, reason: str) -> None:
    """Puts an evaluation off, longer after every fruitless try."""
    evaluation = await get_evaluation(work.session, evaluation_id, lock=True)
    if evaluation.state is not EvaluationState.RUNNING:
        return
    due_at = datetime.now(UTC) + retry_delay(evaluation.attempts)
    attempts = evaluation.attempts + 1
    await save_evaluation(work.session, replace(evaluation, attempts=attempts, due_at=due_at, waits_for=reason))


async def fail_requested(evaluation_id: str, work: Work, *, reason: str) -> None:
    """Ends an evaluation that cannot be brought to figures."""
    evaluation = await get_evaluation(work.session, evaluation_id, lock=True)
    if evaluation.state is not EvaluationState.RUNNING:
        return
    failed = replace(
        evaluation, state=EvaluationState.FAILED, reasons=(reason,), waits_for=None, finished_at=datetime.now(UTC)
    )
    await save_evaluation(work.session, failed)


@dataclass(frozen=True, kw_only=True)
class _Cases:
    sha256: str
    artifact: Artifact | None


async def _cases_of(request: Request, work: Work) -> _Cases:
    """The suite's; else held-out cases of what the version learned from, for a base model of the task's newest job."""
    if request.suite_id is not None:
        suite = await usable_suite(request.suite_id, work, task_id=request.task_id)
        return _Cases(sha256=suite.sha256, artifact=None)
    release = await find_release_of(work.session, request.candidate)
    release = release or await find_newest_release(work.session, request.task_id)
    if release is None:
        raise NotFound(
            "evaluation.no-cases",
            f"no job of {request.task_id} has finished, so that there are no held-out cases: name a suite",
        )
    artifact = release.training_data.held_out.artifact
    return _Cases(sha256=artifact.sha256, artifact=artifact)


def _check_served(variant: VariantId, deployment: Deployment) -> None:
    if variant not in deployment.variants:
        raise Conflict(
            "evaluation.not-served",
            f"{variant} does not serve {deployment.task_id}: deploy it first",
            variant_id=str(variant),
        )
