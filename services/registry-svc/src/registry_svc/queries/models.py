"""Model versions and their evaluations for readers."""

from datetime import datetime

from pydantic import Field

from loopwright.contracts.base import Artifact
from loopwright.contracts.datasets import DeprecationReason
from loopwright.pages import Page, Window
from loopwright.unit_of_work import Work
from registry_svc.domain.deprecations import DataDeprecation
from registry_svc.domain.gate import VariantScore
from registry_svc.domain.models import ModelStatus, ModelVersion, VariantId
from registry_svc.domain.scoring import CaseAnswer
from registry_svc.queries.pages import View, page_of
from registry_svc.store.evaluations import Evaluation, EvaluationState, list_answers, page_evaluations_of
from registry_svc.store.models import get_model, page_models


class DataDeprecationView(View):
    """Why a dataset version must not be learned from any more."""

    reason: DeprecationReason = Field(description="an erasure also keeps the model from being deployed or promoted")
    detail: str
    deprecated_at: datetime


class ModelView(View):
    """One version of a model."""

    name: str
    version: int
    variant_id: str = Field(description="`<name>:<version>`")
    status: ModelStatus
    task_id: str | None = Field(description="task that it was trained for; none for a base model")
    base_model: str
    format: str = Field(description="huggingface or lora")
    artifact: Artifact | None = Field(description="tar of the adapter; none for a base model")
    served_name: str = Field(description="name under which vLLM knows it")
    job_id: str | None
    dataset_version_id: str | None
    training_data_deprecated: DataDeprecationView | None = Field(
        description="why what it learned from must not be learned from any more; none while it may"
    )
    mlflow_uri: str
    description: str
    created_by: str
    created_at: datetime
    updated_at: datetime


class ScoreView(View):
    """How one variant did."""

    variant_id: str
    cases: int
    right: int
    accuracy_0_1: float
    schema_valid_0_1: float
    mean_latency_ms: float


class CaseView(View):
    """One answer to one held-out case."""

    variant_id: str
    number: int = Field(description="line of the held-out split")
    sample_id: str
    expected: str
    answer: str | None = Field(description="none when the router refused the request")
    error: str | None
    correct: bool
    schema_valid: bool
    latency_ms: float
    inference_id: str | None


class EvaluationView(View):
    """One comparison of a candidate with the champion."""

    evaluation_id: str
    job_id: str
    task_id: str
    task_version: int
    candidate: str
    champion: str
    held_out_sha256: str
    state: EvaluationState
    candidate_score: ScoreView | None = Field(description="none until it is finished, as the other figures")
    champion_score: ScoreView | None
    mcnemar_p: float | None
    passed: bool | None
    reasons: tuple[str, ...]
    started_at: datetime
    finished_at: datetime | None
    answers: tuple[CaseView, ...]


def view_model(model: ModelVersion) -> ModelView:
    return ModelView(
        name=model.variant.model_name,
        version=model.variant.version,
        variant_id=str(model.variant),
        status=model.status,
        task_id=model.task_id,
        base_model=model.base_model,
        format=model.format,
        artifact=model.artifact,
        served_name=model.served_name,
        job_id=model.job_id,
        dataset_version_id=model.dataset_version_id,
        training_data_deprecated=_view_mark(model.training_data_deprecated),
        mlflow_uri=model.mlflow_uri,
        description=model.description,
        created_by=model.created_by,
        created_at=model.created_at,
        updated_at=model.updated_at,
    )


def _view_mark(mark: DataDeprecation | None) -> DataDeprecationView | None:
    return None if mark is None else DataDeprecationView.model_validate(mark)


def view_evaluation(evaluation: Evaluation, answers: tuple[CaseAnswer, ...]) -> EvaluationView:
    return EvaluationView(
        evaluation_id=evaluation.evaluation_id,
        job_id=evaluation.job_id,
        task_id=evaluation.task_id,
        task_version=evaluation.task_version,
        candidate=str(evaluation.candidate),
        champion=str(evaluation.champion),
        held_out_sha256=evaluation.held_out_sha256,
        state=evaluation.state,
        candidate_score=_view_score(evaluation.candidate, evaluation.candidate_score),
        champion_score=_view_score(evaluation.champion, evaluation.champion_score),
        mcnemar_p=evaluation.mcnemar_p,
        passed=evaluation.passed,
        reasons=evaluation.reasons,
        started_at=evaluation.started_at,
        finished_at=evaluation.finished_at,
        answers=tuple(CaseView.model_validate(answer) for answer in answers),
    )


def _view_score(variant: VariantId, score: VariantScore | None) -> ScoreView | None:
    if score is None:
        return None
    return ScoreView(
        variant_id=str(variant),
        cases=score.cases,
        right=score.right,
        accuracy_0_1=score.accuracy_0_1,
        schema_valid_0_1=score.schema_valid_0_1,
        mean_latency_ms=score.mean_latency_ms,
    )


async def list_models(
    work: Work, window: Window, *, name: str | None = None, status: ModelStatus | None = None
) -> Page[ModelView]:
    """Model versions by name, newest first."""
    return page_of(await page_models(work.session, window, name=name, status=status), window, view_model)


async def read_model(work: Work, variant: VariantId) -> ModelView:
    """One model version.

    Raises:
        NotFound: there is no such version.
    """
    return view_model(await get_model(work.session, variant))


async def list_evaluations(
    work: Work, variant: VariantId, window: Window, *, with_answers: bool
) -> Page[EvaluationView]:
    """Evaluations in which a version took part, newest first.

    Args:
        with_answers: Whether every answer to every case comes along.

    Raises:
        NotFound: there is no such version.
    """
    await get_model(work.session, variant)
    paged = await page_evaluations_of(work.session, variant, window)
    answers = {
        evaluation.evaluation_id: tuple(await list_answers(work.session, evaluation.evaluation_id))
        for evaluation in (paged.items if with_answers else ())
    }
    return page_of(paged, window, lambda one: view_evaluation(one, answers.get(one.evaluation_id, ())))
