"""Works through runs of benchmarks, one at a time: loads the variant, lets the harness ask, keeps the figures."""

from collections.abc import Mapping
from pathlib import Path

import structlog

from loopwright.errors import ContractError, DependencyError, RuleRefused
from loopwright.unit_of_work import WorkFactory
from registry_svc.adapters.lm_eval import BenchmarkFailed, LmEval, Order
from registry_svc.adapters.serving import Serving
from registry_svc.domain.benchmarks import MOST_ATTEMPTS
from registry_svc.handlers.benchmarks import OpenRun, begin_due_run, fail_run, finish_run, postpone_run

_log = structlog.get_logger()
_MAX_TOKENS = 2048  # where a server does not say what it takes


class Benchmarking:
    """Works on whichever run is due.

    Args:
        base_models: Folders of base models by name; their tokenizers count what a server is asked.
    """

    def __init__(
        self, work: WorkFactory, *, serving: Serving, harness: LmEval, base_models: Mapping[str, Path]
    ) -> None:
        self._work = work
        self._serving = serving
        self._harness = harness
        self._base_models = base_models

    async def step(self) -> bool:
        """Does one run; True if one was due."""
        async with self._work() as unit:
            opened = await begin_due_run(unit)
        if opened is None:
            return False
        run = opened.run
        try:
            await self._measure(opened)
        except DependencyError as error:
            await self._postpone(run.run_id, error.detail)
        except (ContractError, RuleRefused) as error:
            if run.attempts + 1 < MOST_ATTEMPTS:  # a server may have gone away in the middle
                await self._postpone(run.run_id, error.detail)
            else:
                await self._fail(run.run_id, error.detail)
        return True

    async def _measure(self, opened: OpenRun) -> None:
        run, model = opened.run, opened.model
        tokenizer = self._base_models.get(model.base_model)
        if tokenizer is None:
            raise BenchmarkFailed("benchmark.no-tokenizer", f"no folder of {model.base_model} is known")
        url = (await self._serving.ensure_served(model))[0]
        figures = await self._harness.run(
            Order(
                run_id=run.run_id,
                server_url=url,
                served_name=model.served_name,
                tokenizer=tokenizer,
                max_tokens=await self._longest(url, {model.served_name, model.base_model}),
                benchmarks=run.benchmarks,
                most_cases=run.most_cases,
                shots=run.shots,
            )
        )
        async with self._work() as unit:
            await finish_run(run.run_id, figures.results, unit, harness=figures.harness)
        await self._harness.forget(run.run_id)
        _log.info("benchmark.finished", run_id=run.run_id, variant=str(run.variant))

    async def _longest(self, url: str, names: set[str]) -> int:
        lengths = [one.max_model_len for one in await self._serving.servers.models(url) if one.id in names]
        return min((length for length in lengths if length is not None), default=_MAX_TOKENS)

    async def _postpone(self, run_id: str, reason: str) -> None:
        _log.info("benchmark.waits", run_id=run_id, reason=reason)
        async with self._work() as unit:
            await postpone_run(run_id, unit, reason=reason)

    async def _fail(self, run_id: str, reason: str) -> None:
        _log.error("benchmark.failed", run_id=run_id, reason=reason)
        async with self._work() as unit:
            await fail_run(run_id, unit, reason=reason)
        await self._harness.forget(run_id)
