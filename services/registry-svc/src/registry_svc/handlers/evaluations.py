"""Evaluations: what is to be asked, what was answered, and what follows from it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from loopwright.contracts.base import Artifact
from loopwright.contracts.models import HeldOutScore, ModelEvaluated
from loopwright.unit_of_work import Work
from registry_svc.domain.deployments import Deployment
from registry_svc.domain.evaluations import Evaluation, EvaluationState, extras_of
from registry_svc.domain.gate import VariantScore, Verdict
from registry_svc.domain.metrics.measuring import Measurements
from registry_svc.domain.models import ModelVersion, VariantId
from registry_svc.domain.releases import Release, ReleaseState, check_transition
from registry_svc.domain.scoring import CaseAnswer
from registry_svc.handlers.deployments import dismiss_candidate, variant_of
from registry_svc.store.answers import add_answer, add_score, list_answers
from registry_svc.store.deployments import get_deployment
from registry_svc.store.evaluations import add_evaluation, find_running_evaluation, save_evaluation
from registry_svc.store.model_servers import urls_by_variant
from registry_svc.store.models import list_variants
from registry_svc.store.releases import find_release_of, get_release, save_release
from registry_svc.store.tasks import Task, get_task


@dataclass(frozen=True, kw_only=True)
class OpenEvaluation:
    """An evaluation with the answers that it has so far, and what they are asked of.

    Attributes:
        backend_urls: vLLM servers of the base model, and of every version without a server of its own.
        own_servers: Addresses of whole models that a vLLM of their own serves.
        train: What the candidate learned from; None for a base model.
    """

    evaluation: Evaluation
    task: Task
    answers: tuple[CaseAnswer, ...]
    models: Mapping[VariantId, ModelVersion]
    backend_urls: tuple[str, ...]
    own_servers: Mapping[VariantId, str]
    train: Artifact | None


async def open_evaluation(release: Release, work: Work) -> OpenEvaluation:
    """Begins to compare a candidate with the champion, or goes on where it was left."""
    assert release.variant is not None, "a loaded release has a variant"
    task = await get_task(work.session, release.task_id)
    deployment = await get_deployment(work.session, release.task_id)
    running = await find_running_evaluation(work.session, release.job_id)
    if running is not None and (running.champion, running.task_version) == (deployment.champion, task.version):
        return await opened(running, task, work)
    if running is not None:
        await _supersede(running, work)
    held_out = release.training_data.held_out.artifact
    evaluation = Evaluation(
        evaluation_id=str(uuid.uuid4()),
        job_id=release.job_id,
        task_id=release.task_id,
        task_version=task.version,
        candidate=release.variant,
        champion=deployment.champion,
        held_out_sha256=held_out.sha256,
        cases=held_out,
        extras=extras_of(task.pack.gate),
        started_at=datetime.now(UTC),
    )
    await add_evaluation(work.session, evaluation)
    return await opened(evaluation, task, work)


async def opened(evaluation: Evaluation, task: Task, work: Work) -> OpenEvaluation:
    """An evaluation with everything that going on with it takes.

    Raises:
        NotFound: nothing serves the task.
    """
    release = await find_release_of(work.session, evaluation.candidate)
    return OpenEvaluation(
        evaluation=evaluation,
        task=task,
        answers=tuple(await list_answers(work.session, evaluation.evaluation_id)),
        models=await list_variants(work.session, evaluation.variants),
        backend_urls=(await get_deployment(work.session, evaluation.task_id)).backend_urls,
        own_servers=await urls_by_variant(work.session),
        train=None if release is None else release.training_data.train.artifact,
    )


async def keep_answer(evaluation_id: str, answer: CaseAnswer, work: Work) -> None:
    await add_answer(work.session, evaluation_id, answer, answered_at=datetime.now(UTC))


async def keep_score(evaluation_id: str, answer: CaseAnswer, work: Work, *, scores: Mapping[str, float | None]) -> None:
    await add_score(work.session, evaluation_id, answer, scores)


async def answers_so_far(evaluation_id: str, work: Work) -> tuple[CaseAnswer, ...]:
    return tuple(await list_answers(work.session, evaluation_id))


async def conclude_evaluation(
    evaluation: Evaluation, verdict: Verdict, work: Work, *, metrics: Measurements | None
) -> None:
    """Says the gate's verdict. A candidate that failed leaves the deployment, one that passed waits for live traffic."""
    deployment = await get_deployment(work.session, evaluation.task_id, lock=True)
    assert evaluation.job_id is not None, "the gate judges what a job made"
    release = await get_release(work.session, evaluation.job_id, lock=True)
    if release.state is not ReleaseState.LOADED or deployment.champion != evaluation.champion:
        await _supersede(evaluation, work)
        return
    finished = replace(
        evaluation, state=EvaluationState.FINISHED, candidate_score=verdict.candidate,
        champion_score=verdict.champion, mcnemar_p=verdict.mcnemar_p, metrics=metrics, passed=verdict.passed,
        reasons=verdict.reasons, finished_at=datetime.now(UTC),
    )  # fmt: skip
    await save_evaluation(work.session, finished)
    work.announce(await _model_evaluated(finished, verdict, work))
    await _end_step(release, finished, deployment, work)


async def _end_step(release: Release, evaluation: Evaluation, deployment: Deployment, work: Work) -> None:
    following = ReleaseState.ON_TRIAL if evaluation.passed else ReleaseState.REJECTED
    check_transition(release.state, following)
    reason = "; ".join(evaluation.reasons)
    await save_release(
        work.session, replace(release, state=following, reason=reason, attempts=0, updated_at=datetime.now(UTC))
    )
    if not evaluation.passed:
        why = f"{evaluation.candidate} did not pass the gate: {reason}"
        await dismiss_candidate(deployment, evaluation.candidate, work, reason=why)


async def _supersede(evaluation: Evaluation, work: Work) -> None:
    superseded = replace(evaluation, state=EvaluationState.SUPERSEDED, finished_at=datetime.now(UTC))
    await save_evaluation(work.session, superseded)


async def _model_evaluated(evaluation: Evaluation, verdict: Verdict, work: Work) -> ModelEvaluated:
    assert evaluation.finished_at is not None, "it has just been finished"
    models = await list_variants(work.session, (evaluation.candidate, evaluation.champion))
    generation = (await get_task(work.session, evaluation.task_id)).pack.generation
    candidate, champion = (
        variant_of(models[variant], evaluation.task_id, generation)
        for variant in (evaluation.candidate, evaluation.champion)
    )
    return ModelEvaluated(
        evaluation_id=evaluation.evaluation_id,
        task_id=evaluation.task_id,
        candidate=candidate,
        champion=champion,
        held_out_sha256=evaluation.held_out_sha256,
        candidate_score=_held_out_score(evaluation.candidate, verdict.candidate),
        champion_score=_held_out_score(evaluation.champion, verdict.champion),
        mcnemar_p=verdict.mcnemar_p,
        passed=verdict.passed,
        reasons=verdict.reasons,
        evaluated_at=evaluation.finished_at,
    )


def _held_out_score(variant: VariantId, score: VariantScore) -> HeldOutScore:
    return HeldOutScore(
        variant_id=str(variant),
        cases=score.cases,
        accuracy_0_1=score.accuracy_0_1,
        schema_valid_0_1=score.schema_valid_0_1,
        mean_latency_ms=score.mean_latency_ms,
    )
