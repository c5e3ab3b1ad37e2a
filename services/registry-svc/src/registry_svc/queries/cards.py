"""Model cards, put together from rows; and which of them changed since MLflow got them last."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from loopwright.pages import Window
from loopwright.unit_of_work import Work
from registry_svc.domain.cards import (
    DataFacts,
    EvaluationFacts,
    ExperimentFacts,
    MetricFacts,
    ModelCard,
    as_markdown,
    limits_of,
)
from registry_svc.domain.evaluations import Evaluation, EvaluationFilter, EvaluationState
from registry_svc.domain.models import ModelVersion, VariantId
from registry_svc.domain.paired import wilson
from registry_svc.domain.releases import Release
from registry_svc.store.cards import find_stale
from registry_svc.store.conclusions import list_conclusions_of
from registry_svc.store.evaluations import page_evaluations
from registry_svc.store.models import get_model
from registry_svc.store.releases import find_release_of

_NEWEST = Window(limit=10, offset=0)  # evaluations on a card; their own list has them all
_CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class StaleCard:
    """A card that MLflow does not have yet.

    Attributes:
        seen_at: Moment of which it speaks.
    """

    model: ModelVersion
    card: ModelCard
    seen_at: datetime

    @property
    def markdown(self) -> str:
        return as_markdown(self.card)


async def read_card(work: Work, variant: VariantId) -> ModelCard:
    """The card of a version as its facts stand now.

    Raises:
        NotFound: there is no such version.
    """
    return await _card_of(await get_model(work.session, variant), work)


async def list_stale_cards(work: Work, *, most: int) -> list[StaleCard]:
    """Cards that say something else than MLflow got last."""
    found = await find_stale(work.session, most=most)
    return [StaleCard(model=one.model, card=await _card_of(one.model, work), seen_at=one.seen_at) for one in found]


async def _card_of(model: ModelVersion, work: Work) -> ModelCard:
    release = await find_release_of(work.session, model.variant)
    finished = EvaluationFilter(variant=model.variant, state=EvaluationState.FINISHED)
    evaluations = await page_evaluations(work.session, finished, _NEWEST)
    experiments = await list_conclusions_of(work.session, model.variant)
    training = model.training_card
    card = ModelCard(
        variant_id=str(model.variant),
        status=model.status,
        task_id=model.task_id,
        description=model.description,
        base_model=model.base_model,
        base_license=None if training is None else training.base_license,
        format=model.format,
        size_bytes=None if model.artifact is None else model.artifact.size_bytes,
        sha256=None if model.artifact is None else model.artifact.sha256,
        parent=None if model.parent is None else str(model.parent),
        job_id=model.job_id,
        tags=model.tags,
        settings=model.settings,
        data=_data(model, release),
        training=training,
        evaluations=_evaluations(evaluations.items, model.variant),
        experiments=tuple(ExperimentFacts.model_validate(one) for one in experiments),
        proof=model.proof,
        limits=(),
        mlflow_uri=model.mlflow_uri,
        created_by=model.created_by,
        created_at=model.created_at,
    )
    return card.model_copy(update={"limits": limits_of(card)})


def _data(model: ModelVersion, release: Release | None) -> DataFacts | None:
    if model.dataset_version_id is None:
        return None
    data, mark = None if release is None else release.training_data, model.training_data_deprecated
    return DataFacts(
        dataset_id=None if data is None else data.dataset_id,
        version_id=model.dataset_version_id,
        train_samples=None if data is None else data.train.samples,
        validation_samples=None if data is None else data.validation.samples,
        held_out_cases=None if data is None else data.held_out.samples,
        deprecated=None if mark is None else mark.detail,
    )


def _evaluations(found: Sequence[Evaluation], variant: VariantId) -> tuple[EvaluationFacts, ...]:
    return tuple(
        EvaluationFacts(
            evaluation_id=one.evaluation_id,
            kind=one.kind,
            champion=str(one.champion),
            held_out_sha256=one.held_out_sha256,
            confidence_0_1=_CONFIDENCE if one.metrics is None else one.metrics.confidence,
            metrics=_metrics(one),
            passed=one.passed,
            reasons=one.reasons,
            finished_at=one.finished_at,
        )
        for one in found
        if one.candidate == variant
    )


def _metrics(one: Evaluation) -> tuple[MetricFacts, ...]:
    if one.metrics is not None:
        return tuple(MetricFacts.model_validate(measured) for measured in one.metrics.candidate)
    score = one.candidate_score
    if score is None or not score.cases:
        return ()
    # evaluations from before every figure was measured have their counts alone
    interval = wilson(score.right, score.cases, confidence=_CONFIDENCE)
    accuracy = MetricFacts(
        name="accuracy", value=score.accuracy_0_1, lower=interval.lower, upper=interval.upper, cases=score.cases,
        why_not=None,
    )  # fmt: skip
    return (accuracy,)
