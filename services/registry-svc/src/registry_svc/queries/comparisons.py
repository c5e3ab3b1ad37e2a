"""Versions side by side for readers: parameters, data, figures with intervals, and the cases that changed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import Field, JsonValue

from loopwright.pages import Page, Window
from loopwright.unit_of_work import Work
from registry_svc.domain.comparing import (
    AnsweredSet,
    CaseSet,
    Change,
    changes,
    choose,
    common_sets,
    newest_of,
    parameters_of,
)
from registry_svc.domain.metrics.measuring import Measured, difference, measure_variant, per_case_names
from registry_svc.domain.models import ModelVersion, VariantId
from registry_svc.domain.scoring import CaseAnswer
from registry_svc.queries.benchmarks import BenchmarkResultView, view_benchmark_result
from registry_svc.queries.evaluations import CaseView, DifferenceView, MeasuredView
from registry_svc.queries.models import DataDeprecationView, ModelView, view_model
from registry_svc.queries.pages import View
from registry_svc.store.comparisons import (
    list_answered_sets,
    list_answers_of,
    list_finished_runs,
    list_outcomes,
)
from registry_svc.store.models import get_model
from registry_svc.store.tasks import find_task

_CONFIDENCE: Final = 0.95
_DIFF: Final = "/api/v1/admin/training/datasets/versions/{version}/diff?against={against}"


class ParameterView(View):
    """One setting, in the order of the versions; none where it is not known."""

    name: str
    values: tuple[JsonValue, ...]
    differs: bool


class ComparedDataView(View):
    """What a version learned from."""

    variant_id: str
    dataset_version_id: str | None = Field(description="none for a base model")
    train_samples: int | None
    deprecated: DataDeprecationView | None
    diff_with_first: str | None = Field(
        description="path in dataset-svc of the difference from the first version's data"
    )


class CaseSetView(View):
    """The same questions under the same version of a task."""

    task_id: str
    task_version: int
    sha256: str


class ComparedFiguresView(View):
    """How one version did on the cases, and against the first one."""

    variant_id: str
    evaluation_id: str = Field(description="where its answers are of")
    metrics: tuple[MeasuredView, ...]
    less_first: tuple[DifferenceView, ...] = Field(description="it less the first version, on the same cases")
    lost: int = Field(description="cases that the first version answered right and this one wrong")
    gained: int = Field(description="the other way round")


class ComparedBenchmarksView(View):
    """What one version reached in public benchmarks, the newest result of each."""

    variant_id: str
    results: tuple[BenchmarkResultView, ...]


class ComparisonView(View):
    """Two or more versions side by side; the first is what the others are compared with."""

    variants: tuple[ModelView, ...]
    parameters: tuple[ParameterView, ...]
    data: tuple[ComparedDataView, ...]
    cases: CaseSetView | None = Field(description="cases that all of them answered; none if there are none")
    suite_id: str | None = Field(description="suite that the cases are of")
    why_no_cases: str | None
    other_cases: tuple[CaseSetView, ...] = Field(description="further sets that all of them answered")
    confidence: float = Field(description="of every interval")
    figures: tuple[ComparedFiguresView, ...] = Field(description="empty without common cases")
    benchmarks: tuple[ComparedBenchmarksView, ...]


class ComparedCaseView(View):
    """One case, as each version answered it."""

    number: int
    sample_id: str
    input: str | None
    expected: str
    answers: tuple[CaseView, ...] = Field(description="in the order of the versions")


@dataclass(frozen=True, kw_only=True)
class _Ground:
    """What versions are compared on.

    Attributes:
        evaluations: Of each version, in their order; empty without common cases.
    """

    common: tuple[CaseSet, ...]
    cases: CaseSet | str
    evaluations: tuple[AnsweredSet, ...]


async def compare_versions(work: Work, variants: Sequence[VariantId], *, sha256: str | None) -> ComparisonView:
    """Everything about some versions, side by side.

    Args:
        sha256: Cases to compare on; None for the common ones that were answered last.

    Raises:
        NotFound: one of them does not exist.
    """
    models = [await get_model(work.session, variant) for variant in variants]
    ground = await _ground(work, variants, sha256)
    found = isinstance(ground.cases, CaseSet)
    return ComparisonView(
        variants=tuple(view_model(model) for model in models),
        parameters=tuple(ParameterView.model_validate(one) for one in parameters_of(models)),
        data=tuple(_data(model, first=models[0]) for model in models),
        cases=CaseSetView.model_validate(ground.cases) if found else None,
        suite_id=ground.evaluations[0].suite_id if found else None,
        why_no_cases=None if found else str(ground.cases),
        other_cases=tuple(CaseSetView.model_validate(one) for one in ground.common if one != ground.cases),
        confidence=_CONFIDENCE,
        figures=await _figures(work, variants, ground),
        benchmarks=tuple([await _benchmarks(work, variant) for variant in variants]),
    )


async def compare_cases(
    work: Work, variants: Sequence[VariantId], window: Window, *, sha256: str | None, change: Change | None
) -> Page[ComparedCaseView]:
    """Cases with the answer of each version, in their order; empty without common cases.

    Args:
        change: Only cases that went so for any version after the first.

    Raises:
        NotFound: a version does not exist.
    """
    for variant in variants:
        await get_model(work.session, variant)
    ground = await _ground(work, variants, sha256)
    outcomes = [
        await list_outcomes(work.session, one.evaluation_id, variant)
        for variant, one in zip(variants, ground.evaluations, strict=False)
    ]
    numbers = _numbers(outcomes, change)
    shown = numbers[window.offset : window.offset + window.limit]
    answers = [
        {
            answer.number: answer
            for answer in await list_answers_of(work.session, one.evaluation_id, variant, numbers=shown)
        }
        for variant, one in zip(variants, ground.evaluations, strict=False)
    ]
    items = tuple(_case([of_variant[number] for of_variant in answers]) for number in shown)
    return Page(items=items, total=len(numbers), limit=window.limit, offset=window.offset)


async def _ground(work: Work, variants: Sequence[VariantId], sha256: str | None) -> _Ground:
    answered = [await list_answered_sets(work.session, variant) for variant in variants]
    common = common_sets(answered)
    cases = choose(common, sha256=sha256)
    if isinstance(cases, str):
        return _Ground(common=common, cases=cases, evaluations=())
    return _Ground(common=common, cases=cases, evaluations=tuple(newest_of(sets, cases) for sets in answered))


async def _figures(work: Work, variants: Sequence[VariantId], ground: _Ground) -> tuple[ComparedFiguresView, ...]:
    if isinstance(ground.cases, str):
        return ()
    task = await find_task(work.session, ground.cases.task_id)
    field = None if task is None else task.pack.answer_field
    first: Sequence[CaseAnswer] = ()
    found: list[ComparedFiguresView] = []
    for variant, one in zip(variants, ground.evaluations, strict=True):
        answers = await list_answers_of(work.session, one.evaluation_id, variant)
        first = first or answers
        # resampling takes a core for seconds where there are thousands of cases
        found.append(await asyncio.to_thread(_compare, variant, one.evaluation_id, answers, first=first, field=field))
    return tuple(found)


def _compare(
    variant: VariantId,
    evaluation_id: str,
    answers: Sequence[CaseAnswer],
    *,
    first: Sequence[CaseAnswer],
    field: str | None,
) -> ComparedFiguresView:
    measured = measure_variant(answers, answer_field=field, confidence=_CONFIDENCE)
    before, now = ({one.number: one.correct for one in side} for side in (first, answers))
    return ComparedFiguresView(
        variant_id=str(variant),
        evaluation_id=evaluation_id,
        metrics=tuple(MeasuredView.model_validate(one) for one in measured),
        less_first=() if answers is first else _differences(answers, first, measured),
        lost=len(changes(before, now, Change.LOST)),
        gained=len(changes(before, now, Change.GAINED)),
    )


def _differences(
    answers: Sequence[CaseAnswer], first: Sequence[CaseAnswer], measured: Sequence[Measured]
) -> tuple[DifferenceView, ...]:
    computed = {one.name for one in measured if one.value is not None}
    names = [name for name in per_case_names(first) if name in computed]
    return tuple(
        DifferenceView.model_validate(difference(answers, first, name, confidence=_CONFIDENCE)) for name in names
    )


def _numbers(outcomes: Sequence[dict[int, bool]], change: Change | None) -> list[int]:
    if not outcomes:
        return []
    answered_by_all = set(outcomes[0]).intersection(*outcomes[1:])
    if change is None:
        return sorted(answered_by_all)
    changed = {number for other in outcomes[1:] for number in changes(outcomes[0], other, change)}
    return sorted(changed & answered_by_all)


def _case(answers: Sequence[CaseAnswer]) -> ComparedCaseView:
    one = answers[0]
    return ComparedCaseView(
        number=one.number,
        sample_id=one.sample_id,
        input=next((answer.input for answer in answers if answer.input is not None), None),
        expected=one.expected,
        answers=tuple(CaseView.model_validate(answer) for answer in answers),
    )


def _data(model: ModelVersion, *, first: ModelVersion) -> ComparedDataView:
    own, before = model.dataset_version_id, first.dataset_version_id
    mark = model.training_data_deprecated
    return ComparedDataView(
        variant_id=str(model.variant),
        dataset_version_id=own,
        train_samples=None if model.training_card is None else model.training_card.train_samples,
        deprecated=None if mark is None else DataDeprecationView.model_validate(mark),
        diff_with_first=None if None in {own, before} or own == before else _DIFF.format(version=own, against=before),
    )


async def _benchmarks(work: Work, variant: VariantId) -> ComparedBenchmarksView:
    newest: dict[tuple[str, str], BenchmarkResultView] = {}
    for run in await list_finished_runs(work.session, variant):
        for result in run.results:
            newest.setdefault((result.name, result.task_version), view_benchmark_result(result))
    return ComparedBenchmarksView(variant_id=str(variant), results=tuple(newest[key] for key in sorted(newest)))
