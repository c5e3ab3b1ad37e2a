"""Works through the evaluations that somebody asked for, one after the other, beside those of the gate."""

import structlog

from loopwright.errors import ContractError, DependencyError, InvalidPayload, RuleRefused, StoreUnavailable
from loopwright.storage import Storage
from loopwright.telemetry import continued_span
from loopwright.unit_of_work import WorkFactory
from registry_svc.domain.checks import describe
from registry_svc.domain.evaluations import Evaluation
from registry_svc.domain.gate import score_of
from registry_svc.domain.scoring import HeldOutCase, read_cases
from registry_svc.handlers.requests import (
    Result,
    fail_requested,
    finish_requested,
    next_due_evaluation,
    open_requested,
    postpone_requested,
)
from registry_svc.handlers.suites import cases_of_suite
from registry_svc.jobs.examining import Examiner

_log = structlog.get_logger()


class RequestedEvaluations:
    """Works on whichever asked-for evaluation is due."""

    def __init__(self, work: WorkFactory, *, storage: Storage, examiner: Examiner) -> None:
        self._work = work
        self._storage = storage
        self._examiner = examiner

    async def step(self) -> bool:
        """Goes on with one evaluation; True if one was due."""
        async with self._work() as unit:
            evaluation = await next_due_evaluation(unit)
        if evaluation is None:
            return False
        evaluation_id = evaluation.evaluation_id
        with continued_span("evaluation", traceparent=evaluation.traceparent):
            try:
                await self._advance(evaluation)
                _log.info("evaluation.finished", evaluation_id=evaluation_id)
            except DependencyError as error:
                _log.info("evaluation.waits", evaluation_id=evaluation_id, reason=error.detail)
                async with self._work() as unit:
                    await postpone_requested(evaluation_id, unit, reason=error.detail)
            except (ContractError, RuleRefused) as error:
                _log.error("evaluation.failed", evaluation_id=evaluation_id, reason=error.detail)
                async with self._work() as unit:
                    await fail_requested(evaluation_id, unit, reason=error.detail)
        return True

    async def _advance(self, evaluation: Evaluation) -> None:
        async with self._work() as unit:
            opened = await open_requested(evaluation, unit)
        examined = await self._examiner.examine(opened, await self._cases(evaluation))
        metrics = await self._examiner.measure(opened, examined)
        accuracy = next((one for one in metrics.differences if one.name == "accuracy"), None)
        result = Result(
            candidate=score_of(examined.candidate),
            champion=score_of(examined.champion) if examined.champion else None,
            metrics=metrics,
            mcnemar_p=None if accuracy is None else accuracy.p_value,
            reasons=describe(evaluation.extras, examined.evidence, candidate=str(evaluation.candidate)),
        )
        async with self._work() as unit:
            await finish_requested(evaluation.evaluation_id, result, unit)

    async def _cases(self, evaluation: Evaluation) -> tuple[HeldOutCase, ...]:
        if evaluation.suite_id is not None:
            async with self._work() as unit:
                return await cases_of_suite(evaluation.suite_id, unit)
        assert evaluation.cases is not None, "held-out cases have a file"
        try:
            return read_cases(await self._storage.read_bytes(evaluation.cases))
        except StoreUnavailable as error:
            if error.code != "storage.object-missing":
                raise
            raise InvalidPayload("evaluation.no-cases", "the held-out cases are not there any more") from error
