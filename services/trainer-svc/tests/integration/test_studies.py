"""Studies from request to promotion: on real rows, through kills, beside other loops, and with real processes."""

import asyncio
import itertools
import random
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import JsonValue
from study_world import EPOCHS, STUDY, LoopProcess, Players, begin, near_optimum, play, study, trials
from trainer_world import World, a_task, a_version

from loopwright.contracts.base import RunState
from loopwright.contracts.datasets import DatasetDeprecated
from loopwright.contracts.registry import DATASET_DEPRECATED, JOB_FINISHED, JOB_REQUESTED
from loopwright.errors import StoreUnavailable
from loopwright.testing.examples import an_event
from loopwright.testing.gate import Gate
from loopwright.testing.waiting import eventually
from trainer_svc.adapters.optuna_search import first_prunable, propose
from trainer_svc.domain.studies import Trial, TrialState
from trainer_svc.handlers.requests import stop_job
from trainer_svc.handlers.studies import promote_best, resume_study, stop_study
from trainer_svc.jobs.studying import StudyLoop


def counts(found: tuple[Trial, ...]) -> dict[TrialState, int]:
    states = [trial.state for trial in found]
    return {state: states.count(state) for state in set(states)}


async def check_each_trial_once(world: World, *, parallel: int = 1) -> None:
    """Trials have consecutive numbers, and each one job that was asked for once with its settings and ended once."""
    found = await trials(world)
    assert [trial.number for trial in found] == list(range(len(found)))
    wanted = [f"{STUDY}-{number}" for number in range(len(found))]
    assert sorted(job["job_id"] for job in await world.table("jobs")) == sorted(wanted)
    requests = await world.announced(JOB_REQUESTED)
    assert [request.job_id for request in requests] == wanted
    for trial, request in zip(found, requests, strict=True):
        chosen = request.hyperparameters
        assert {name: getattr(chosen, name) for name in trial.settings} == trial.settings
        assert (request.study_id, chosen.num_epochs) == (STUDY, EPOCHS)
    finished = await world.announced(JOB_FINISHED)
    assert sorted(event.job_id for event in finished) == sorted(wanted)
    assert {event.study_id for event in finished} == {STUDY}
    if parallel == 1:
        known = await study(world)
        for trial in found:
            assert propose(known, found[: trial.number]) == trial.settings


class TestSearch:
    async def test_finds_the_optimum_with_every_trial_a_job_of_its_own(self, world: World) -> None:
        await begin(world, max_trials=25, pruner="none")
        await play(world, Players(world))

        row = (await world.table("studies"))[0]
        assert (row["state"], row["reason"].split(",")[0]) == (RunState.SUCCEEDED, "25 trials")
        found = await trials(world)
        assert counts(found) == {TrialState.SUCCEEDED: 25}
        await check_each_trial_once(world)
        best = min(found, key=lambda trial: trial.value or 9)
        assert near_optimum(dict(best.settings)), best
        by_model = [near_optimum(dict(trial.settings)) for trial in found[12:]]
        assert sum(by_model) > len(by_model) / 4  # by chance one in sixteen is
        assert all(trial.evaluations[-1] == trial.value for trial in found)
        assert set(await world.trace_ids(JOB_REQUESTED)) == {"4bf92f3577b34da6a3ce929d0e0e4736"}

    async def test_two_trials_run_at_once_where_two_may(self, world: World) -> None:
        await begin(world, max_trials=8, parallel_trials=2)
        players = Players(world, most=8)
        await play(world, players)
        assert players.most_seen == 2
        await check_each_trial_once(world, parallel=2)

    async def test_two_loops_at_once_begin_each_trial_once(self, world: World) -> None:
        await begin(world, max_trials=10, parallel_trials=3, pruner="none")
        players = Players(world, most=3)
        loops = [StudyLoop(world.work) for _ in range(3)]
        for _ in range(60):
            await asyncio.gather(*(loop.step() for loop in loops))
            await players.turn()
        assert (await study(world)).state is RunState.SUCCEEDED
        await check_each_trial_once(world, parallel=3)

    async def test_two_studies_do_not_mix(self, world: World) -> None:
        await begin(world, max_trials=3)
        await begin(world, max_trials=4, study_id="study-2", seed=99)
        await play(world, Players(world, most=2))
        first, second = await trials(world), await trials(world, "study-2")
        assert (len(first), len(second)) == (3, 4)
        assert {trial.settings["learning_rate"] for trial in first}.isdisjoint(
            trial.settings["learning_rate"] for trial in second
        )


class TestKills:
    async def test_a_loop_that_is_killed_again_and_again_begins_every_trial_exactly_once(
        self, world: World, tmp_path: Path
    ) -> None:
        await begin(world, max_trials=12)
        players, process = Players(world), LoopProcess(world, tmp_path / "loop.txt")
        random.seed(5)
        for kills in range(4):
            await process.start()
            await self._until_trials(world, players, 3 * kills + 2)
            await asyncio.sleep(random.random() * 0.2)
            await process.kill()
        await play(world, players)

        found = await trials(world)
        assert (len(found), (await study(world)).state) == (12, RunState.SUCCEEDED)
        await check_each_trial_once(world)

    async def _until_trials(self, world: World, players: Players, count: int) -> None:
        async def enough() -> bool:
            await players.turn()
            return len(await trials(world)) >= count

        await eventually(enough, timeout_s=120)

    async def test_a_step_that_is_cut_off_anywhere_changes_nothing_or_everything(self, world: World) -> None:
        await begin(world, max_trials=6, startup_trials=1)
        players, loop = Players(world), StudyLoop(world.work)
        random.seed(7)
        for _ in range(60):
            step = asyncio.create_task(loop.step())
            await asyncio.wait({step}, timeout=random.random() * 0.06)
            step.cancel()
            await asyncio.gather(step, return_exceptions=True)
            await players.turn()
        await play(world, players)
        assert len(await trials(world)) == 6
        await check_each_trial_once(world)

    async def test_a_database_that_is_away_is_waited_for(self, world: World, gate: tuple[Gate, str]) -> None:
        await begin(world, max_trials=2)
        await gate[0].shut()
        with pytest.raises(StoreUnavailable):
            await StudyLoop(world.work).step()
        await gate[0].open()
        await play(world, Players(world))
        await check_each_trial_once(world)


class TestPruning:
    async def test_stops_the_job_of_a_bad_trial_before_its_end(self, world: World) -> None:
        await begin(world, max_trials=20, startup_trials=4)
        await play(world, Players(world))

        found = await trials(world)
        pruned = [trial for trial in found if trial.state is TrialState.PRUNED]
        assert pruned
        assert all(trial.number >= 4 for trial in pruned)
        for trial in pruned:
            job = await world.job(trial.job_id or "")
            assert (job["state"], job["step"]) == (RunState.STOPPED, trial.pruned_after)
            assert (len(trial.evaluations), trial.value) == (trial.pruned_after, min(trial.evaluations))
            assert trial.reason == f"stopped after {trial.pruned_after} evaluations: others were better by then"
        await check_each_trial_once(world)
        best = min((trial for trial in found if trial.state is TrialState.SUCCEEDED), key=lambda one: one.value or 9)
        assert near_optimum(dict(best.settings))

    async def test_by_hyperband_stops_trials_too(self, world: World) -> None:
        await begin(world, max_trials=15, pruner="hyperband", parallel_trials=3)
        await play(world, Players(world, most=3))
        states = counts(await trials(world))
        assert states[TrialState.PRUNED] >= 3
        assert states[TrialState.SUCCEEDED] >= 1

    async def test_judges_each_evaluation_once_even_over_a_restart(self, world: World) -> None:
        """A trial that was let pass is not stopped for the same figure when others have ended since."""
        await begin(world, max_trials=7, parallel_trials=2, startup_trials=2)
        players = Players(world, lambda number, _: [3.0 if number else 5.0, 1.0, 1.0, 1.0], most=2)
        players.slow = {0}
        for _ in range(50):
            while await StudyLoop(world.work).step():  # a new one each time: it remembers nothing
                pass
            await players.turn()
        found = await trials(world)
        assert counts(found) == {TrialState.RUNNING: 1, TrialState.SUCCEEDED: 6}
        assert (found[0].judged, found[0].pruned_after) == (1, None)
        assert first_prunable(await study(world), [replace(found[0], judged=0), *found[1:]]) == {0: 1}


class TestFailures:
    async def test_a_failed_trial_does_not_end_the_study(self, world: World) -> None:
        await begin(world, max_trials=6)
        players = Players(world)
        players.fails = {1, 3}
        await play(world, players)
        found = await trials(world)
        assert counts(found) == {TrialState.SUCCEEDED: 4, TrialState.FAILED: 2}
        assert found[1].reason == "out of memory"
        assert (await study(world)).state is RunState.SUCCEEDED

    async def test_too_many_do_and_after_resuming_they_count_anew(self, world: World) -> None:
        await begin(world, max_trials=8, max_failed_trials=1)
        players = Players(world)
        players.fails = {0, 1}
        await play(world, players)
        assert (await study(world)).state is RunState.FAILED
        assert len(await trials(world)) == 2

        async with world.work() as unit:
            await resume_study(unit, STUDY, max_trials=None)
        players.fails = {2}
        await play(world, players)

        assert counts(await trials(world)) == {TrialState.SUCCEEDED: 5, TrialState.FAILED: 3}
        assert (await study(world)).state is RunState.SUCCEEDED
        await check_each_trial_once(world)

    async def test_a_trial_whose_job_somebody_stopped_is_no_failure(self, world: World) -> None:
        await begin(world, max_trials=3, max_failed_trials=0)
        loop = StudyLoop(world.work)
        await loop.step()
        async with world.work() as unit:
            await stop_job(unit, f"{STUDY}-0")
        await play(world, Players(world))
        assert [trial.state for trial in await trials(world)] == [
            TrialState.STOPPED, TrialState.SUCCEEDED, TrialState.SUCCEEDED,
        ]  # fmt: skip

    async def test_a_trial_whose_job_was_deleted_has_failed_and_says_so(self, world: World) -> None:
        await begin(world, max_trials=2)
        await StudyLoop(world.work).step()
        async with world.direct.engine.begin() as connection:
            await connection.execute(sa.text("DELETE FROM trainer.jobs"))
        await play(world, Players(world))
        first, second = await trials(world)
        assert (first.state, first.reason) == (TrialState.FAILED, "its job was deleted before its end was seen")
        assert second.state is TrialState.SUCCEEDED

    async def test_settings_that_the_contract_takes_no_more_fail_the_trial_and_not_the_service(
        self, world: World
    ) -> None:
        await begin(world, max_trials=5, max_failed_trials=1)
        async with world.direct.engine.begin() as connection:
            statement = sa.text("UPDATE trainer.studies SET space = CAST(:space AS jsonb)")
            space = '{"batch_size": {"low": -5, "high": -1, "log": false, "step": null}}'
            await connection.execute(statement, {"space": space})
        await play(world, Players(world))
        found = await trials(world)
        assert counts(found) == {TrialState.FAILED: 2}
        assert found[0].job_id is None
        assert "greater than or equal to 1" in (found[0].reason or "")
        assert (await study(world)).state is RunState.FAILED
        assert await world.table("jobs") == []

    async def test_a_search_that_breaks_off_ends_its_study_and_no_other(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await begin(world, max_trials=2)
        await begin(world, max_trials=2, study_id="study-2")

        def broken(asked: object, known: object) -> object:
            if getattr(asked, "study_id") == STUDY:  # noqa: B009 - any object here
                raise ZeroDivisionError("no way on")
            return propose(asked, known)  # type: ignore[arg-type]

        monkeypatch.setattr("trainer_svc.jobs.studying.propose", broken)
        await play(world, Players(world))
        rows = {row["study_id"]: row for row in await world.table("studies")}
        assert rows[STUDY]["state"] == RunState.FAILED
        assert rows[STUDY]["reason"] == "the search cannot go on: ZeroDivisionError: no way on"
        assert rows["study-2"]["state"] == RunState.SUCCEEDED


class TestStopping:
    async def test_a_stopped_study_stops_its_jobs_and_can_be_resumed_where_it_was(self, world: World) -> None:
        await begin(world, max_trials=6, parallel_trials=2)
        players = Players(world, most=1)
        loop = StudyLoop(world.work)
        for _ in range(9):
            while await loop.step():
                pass
            await players.turn()
        async with world.work() as unit:
            await stop_study(unit, STUDY)
        await play(world, players)
        before = await trials(world)
        assert 0 < len(before) < 6
        assert counts(before)[TrialState.STOPPED] == 2
        assert (await study(world)).state is RunState.STOPPED

        async with world.work() as unit:
            await resume_study(unit, STUDY, max_trials=7)
        await play(world, players)
        after = await trials(world)
        assert len(after) == 7
        assert after[: len(before)] == before
        assert (await study(world)).state is RunState.SUCCEEDED
        await check_each_trial_once(world, parallel=2)

    async def test_data_that_must_not_be_learned_from_any_more_ends_the_study(self, world: World) -> None:
        await begin(world, max_trials=6)
        players = Players(world)
        loop = StudyLoop(world.work)
        for _ in range(8):
            await loop.step()
            await players.turn()
        word: DatasetDeprecated = an_event(DATASET_DEPRECATED, version_id="dsv-1", detail="somebody left")
        await world.hand(word)
        await play(world, players)
        (row,) = await world.table("studies")
        assert (row["state"], "somebody left" in row["reason"]) == (RunState.STOPPED, True)
        assert len(await trials(world)) < 6


class TestPromotion:
    async def test_the_best_trial_becomes_an_ordinary_job(self, world: World) -> None:
        await begin(world, max_trials=4)
        await play(world, Players(world))
        found = await trials(world)
        best = min((trial for trial in found if trial.state is TrialState.SUCCEEDED), key=lambda one: one.value or 9)

        async with world.work() as unit:
            await promote_best(unit, STUDY, requested_by="boss")

        request = (await world.announced(JOB_REQUESTED))[-1]
        assert (request.study_id, request.requested_by) == (None, "boss")
        assert request.hyperparameters.learning_rate == best.settings["learning_rate"]
        await play(world, Players(world))
        assert (await world.announced(JOB_FINISHED))[-1].study_id is None
        (row,) = await world.table("studies")
        assert (row["promoted_trial"], row["promoted_job_id"]) == (best.number, request.job_id)

    async def test_it_is_by_itself_where_the_study_says_so(self, world: World) -> None:
        await begin(world, max_trials=3, auto_promote=True)
        await play(world, Players(world))
        promoted = [request for request in await world.announced(JOB_REQUESTED) if request.study_id is None]
        assert [request.requested_by for request in promoted] == ["somebody"]
        (row,) = await world.table("studies")
        assert row["promoted_job_id"] == promoted[0].job_id


@pytest.mark.usefixtures("scripted")
class TestRealProcesses:
    async def test_a_study_runs_two_at_once_stops_bad_trials_and_its_best_is_trained(self, world: World) -> None:
        splits: dict[str, JsonValue] = {}
        for name in ("train", "validation", "held_out"):
            splits[name] = (await world._split(name.encode())).model_dump(mode="json")
        await world.hand(a_task(training={"auto": False}), a_version(**splits))
        await begin(world, max_trials=14, parallel_trials=2, startup_trials=4, auto_promote=True)
        loop = asyncio.create_task(StudyLoop(world.work).run())
        try:
            async with world.worker(slots=("cpu:0", "cpu:1"), recipe="study_recipe"):

                async def promoted() -> sa.RowMapping | None:
                    (row,) = await world.table("studies")
                    assert row["state"] in {RunState.RUNNING, RunState.SUCCEEDED}, row["reason"]
                    return row if row["promoted_job_id"] else None

                row = await eventually(promoted, timeout_s=240)
                assert row is not None
                job = await world.ended(row["promoted_job_id"], timeout_s=60)
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)

        found = await trials(world)
        states = counts(found)
        assert states[TrialState.PRUNED] >= 1
        assert sum(states.values()) == 14
        assert (job["state"], job["study_id"]) == (RunState.SUCCEEDED, None)
        best = min((trial for trial in found if trial.state is TrialState.SUCCEEDED), key=lambda one: one.value or 9)
        assert job["validation_loss"] == best.value
        spans = sorted((one.started_at, one.ended_at) for one in found if one.started_at and one.ended_at)
        assert any(second[0] < first[1] for first, second in itertools.pairwise(spans))
        finished = await world.announced(JOB_FINISHED)
        assert [event.job_id for event in finished if event.study_id is None] == [job["job_id"]]
