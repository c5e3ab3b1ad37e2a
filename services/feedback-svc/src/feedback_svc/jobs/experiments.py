"""Looks at running experiments, for no consumer waits for a decision."""

import asyncio
from datetime import UTC, datetime

import structlog

from feedback_svc.domain.assessment import next_moment
from feedback_svc.domain.experiments import Experiment
from feedback_svc.handlers.deciding import decide_experiment, look_at
from feedback_svc.store.experiments import list_active
from feedback_svc.store.observations import mark_of
from feedback_svc.store.toxicity import add_scores, list_unscored
from loopwright.repeating import repeat
from loopwright.telemetry import continued_span
from loopwright.toxicity.scoring import toxicity_of_texts
from loopwright.unit_of_work import PostgresWork

_log = structlog.get_logger()
_ANSWERS_AT_ONCE = 200


class Decider:
    """Ends experiments and changes their weights, on evidence and on time.

    Any number of replicas may look at once: only one transaction finds a change still due. What a replica remembers of
    earlier looks spares work and nothing else.
    """

    def __init__(self, work: PostgresWork, *, every_s: float) -> None:
        self._work = work
        self._every_s = every_s
        self._looked: dict[str, tuple[str, datetime | None]] = {}

    async def run(self) -> None:
        await repeat(self.look, name="decisions", idle_s=self._every_s)

    async def look(self) -> bool:
        """Looks at every experiment that has changed, or for which it is time; True if something was done."""
        async with self._work() as unit:
            active = await list_active(unit.session)
        self._looked = {
            one.experiment_id: self._looked[one.experiment_id] for one in active if one.experiment_id in self._looked
        }
        done = False
        for experiment in active:
            done |= await self._look_at(experiment, now=datetime.now(UTC))
        return done

    async def _look_at(self, experiment: Experiment, *, now: datetime) -> bool:
        async with self._work() as unit:
            mark = f"{experiment.revision} {await mark_of(unit.session, experiment)}"
            seen, until = self._looked.get(experiment.experiment_id, (None, None))
            if mark == seen and (until is None or now < until):
                return False
        await self._score_answers(experiment)
        async with self._work() as unit:
            change = await look_at(experiment, unit, now=now)
        if change is None:
            self._looked[experiment.experiment_id] = (mark, next_moment(experiment, after=now))
            return False
        with continued_span("decide experiment", traceparent=experiment.traceparent):
            async with self._work() as unit:
                done = await decide_experiment(experiment.experiment_id, experiment.task_id, unit, now=now)
        if done:
            _log.info("experiment.decided", experiment_id=experiment.experiment_id, reason=change.reason)
        return done

    async def _score_answers(self, experiment: Experiment) -> None:
        """Scores whatever was answered since the last look, in batches, where the toxicity of answers is watched."""
        if experiment.rollout.margins.max_toxicity_rise_0_1 is None:
            return
        while True:
            async with self._work() as unit:
                answers = await list_unscored(unit.session, experiment, at_most=_ANSWERS_AT_ONCE)
            if not answers:
                return
            found = await asyncio.to_thread(toxicity_of_texts, list(answers.values()))
            async with self._work() as unit:
                await add_scores(unit.session, dict(zip(answers, found, strict=True)))
