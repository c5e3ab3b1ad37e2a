"""Evaluations: what is to be asked, what was answered, and what follows from it."""

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from loopwright.contracts.models import HeldOutScore, ModelEvaluated
from loopwright.unit_of_work import Work
from registry_svc.domain.deployments import Deployment
from registry_svc.domain.gate import VariantScore, Verdict
from registry_svc.domain.models import VariantId
from registry_svc.domain.releases import Release, ReleaseState, check_transition
from registry_svc.domain.scoring import CaseAnswer
from registry_svc.handlers.deployments import dismiss_candidate, variant_of
from registry_svc.store.deployments import get_deployment
from registry_svc.store.evaluations import (
    Evaluation,
    EvaluationState,
    add_answer,
    add_evaluation,
    find_running_evaluation,
    list_answers,
    save_outcome,
)
from registry_svc.store.models import list_variants
from registry_svc.store.releases import get_release, save_release
from registry_svc.store.tasks import Task, get_task


@dataclass(frozen=True, kw_only=True)
class OpenEvaluation:
    """An evaluation with the answers that it has so far."""

    evaluation: Evaluation
    task: Task
    answers: tuple[CaseAnswer, ...]


async def open_evaluation(release: Release, work: Work) -> OpenEvaluation:
    """Begins to compare a candidate with the champion, or goes on where it was left."""
    assert release.variant is not None, "a loaded release has a variant"
    task = await get_task(work.session, release.task_id)
    deployment = await get_deployment(work.session, release.task_id)
    running = await find_running_evaluation(work.session, release.job_id)
    if running is not None and (running.champion, running.task_version) == (deployment.champion, task.version):
        answers = tuple(await list_answers(work.session, running.evaluation_id))
        return OpenEvaluation(evaluation=running, task=task, answers=answers)
    if running is not None:
        await _supersede(running, work)
    evaluation = Evaluation(
        evaluation_id=str(uuid.uuid4()),
        job_id=release.job_id,
        task_id=release.task_id,
        task_version=task.version,
        candidate=release.variant,
        champion=deployment.champion,
        held_out_sha256=release.training_data.held_out.artifact.sha256,
        state=EvaluationState.RUNNING,
        candidate_score=None,
        champion_score=None,
        mcnemar_p=None,
        passed=None,
        reasons=(),
        started_at=datetime.now(UTC),
        finished_at=None,
    )
    await add_evaluation(work.session, evaluation)
    return OpenEvaluation(evaluation=evaluation, task=task, answers=())


async def keep_answer(evaluation_id: str, answer: CaseAnswer, work: Work) -> None:
    await add_answer(work.session, evaluation_id, answer, answered_at=datetime.now(UTC))


async def answers_so_far(evaluation_id: str, work: Work) -> tuple[CaseAnswer, ...]:
    return tuple(await list_answers(work.session, evaluation_id))


async def conclude_evaluation(evaluation: Evaluation, verdict: Verdict, work: Work) -> None:
    """Says the gate's verdict. A candidate that failed leaves the deployment, one that passed waits for live traffic."""
    deployment = await get_deployment(work.session, evaluation.task_id, lock=True)
    release = await get_release(work.session, evaluation.job_id, lock=True)
    if release.state is not ReleaseState.LOADED or deployment.champion != evaluation.champion:
        await _supersede(evaluation, work)
        return
    finished = replace(
        evaluation, state=EvaluationState.FINISHED, candidate_score=verdict.candidate,
        champion_score=verdict.champion, mcnemar_p=verdict.mcnemar_p, passed=verdict.passed,
        reasons=verdict.reasons, finished_at=datetime.now(UTC),
    )  # fmt: skip
    await save_outcome(work.session, finished)
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
    await save_outcome(
        work.session,
        replace(evaluation, state=EvaluationState.SUPERSEDED, finished_at=datetime.now(UTC)),
    )


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
