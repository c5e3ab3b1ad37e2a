"""Which jobs start by themselves, where they may run, and what a process's end means."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import JsonValue

from loopwright.contracts.base import RunState
from loopwright.contracts.jobs import JobRequested
from loopwright.contracts.registry import DATASET_VALIDATED, JOB_REQUESTED
from loopwright.contracts.tasks import Hyperparameters, TrainingPolicy
from loopwright.errors import Conflict
from loopwright.testing.examples import an_event
from trainer_svc.domain.jobs import (
    Policy,
    check_can_stop,
    ending_of_dead_process,
    ending_of_silent_worker,
    free_slot,
    job_for,
    obstacle,
)

MODELS = {"tiny": Path("tiny")}
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def a_policy(**changes: JsonValue) -> Policy:
    return Policy(task_id="mood", base_model="tiny", training=TrainingPolicy.model_validate(changes))


class TestJobFor:
    def test_takes_splits_from_the_version_and_settings_from_the_policy(self) -> None:
        version = an_event(DATASET_VALIDATED, task_id="mood")
        policy = a_policy(hyperparameters={"lora_rank": 3})

        job = job_for(version, policy, job_id="job-1", now=NOW)

        assert isinstance(job, JobRequested)
        assert job.hyperparameters == Hyperparameters(lora_rank=3)
        assert (job.base_model, job.task_id, job.requested_by, job.requested_at) == ("tiny", "mood", "policy", NOW)
        data = job.training_data
        assert (data.version_id, data.train, data.held_out) == (version.version_id, version.train, version.held_out)

    def test_there_is_none_when_the_policy_leaves_it_to_people(self) -> None:
        assert job_for(an_event(DATASET_VALIDATED), a_policy(auto=False), job_id="job-1", now=NOW) is None


class TestObstacle:
    def test_none_for_a_job_that_a_recipe_can_run(self) -> None:
        assert obstacle(an_event(JOB_REQUESTED, base_model="tiny", objective="sft"), MODELS) is None

    def test_a_missing_base_model_is_named_with_those_that_are_there(self) -> None:
        reason = obstacle(an_event(JOB_REQUESTED, base_model="huge"), MODELS)
        assert reason is not None
        assert "huge" in reason
        assert "tiny" in reason

    @pytest.mark.parametrize("objective", ["dpo", "kto", "distill"])
    def test_an_objective_without_a_recipe_is_named(self, objective: str) -> None:
        reason = obstacle(an_event(JOB_REQUESTED, base_model="tiny", objective=objective), MODELS)
        assert reason is not None
        assert objective in reason


class TestFreeSlot:
    def test_is_the_first_that_nobody_has(self) -> None:
        assert free_slot(("cpu:0", "cuda:0", "cuda:1"), ("cuda:0", "cpu:0"), most=9) == "cuda:1"

    def test_there_is_none_when_all_are_taken(self) -> None:
        assert free_slot(("cpu:0",), ("cpu:0",), most=9) is None

    def test_there_is_none_when_enough_jobs_run(self) -> None:
        assert free_slot(("cpu:0", "cpu:1", "cpu:2"), ("cpu:0", "cpu:1"), most=2) is None


class TestDeadProcess:
    def test_goes_back_to_the_queue_while_attempts_are_left(self) -> None:
        ending = ending_of_dead_process(status=-9, attempt=1, max_attempts=2)
        assert ending.state is RunState.QUEUED
        assert ending.reason is not None
        assert "signal 9" in ending.reason

    def test_fails_after_the_last_attempt_and_says_what_signal_9_mostly_means(self) -> None:
        ending = ending_of_dead_process(status=-9, attempt=2, max_attempts=2)
        assert ending.state is RunState.FAILED
        assert ending.reason is not None
        assert "memory" in ending.reason

    def test_names_an_exit_status(self) -> None:
        ending = ending_of_dead_process(status=3, attempt=2, max_attempts=2)
        assert ending.reason is not None
        assert "exit status 3" in ending.reason
        assert "memory" not in ending.reason


class TestSilentWorker:
    def test_its_job_goes_back_to_the_queue_while_attempts_are_left(self) -> None:
        assert ending_of_silent_worker(attempt=1, max_attempts=2, stop_requested=False).state is RunState.QUEUED

    def test_its_job_fails_after_the_last_attempt(self) -> None:
        assert ending_of_silent_worker(attempt=2, max_attempts=2, stop_requested=False).state is RunState.FAILED

    def test_its_job_is_stopped_if_somebody_asked_for_that(self) -> None:
        assert ending_of_silent_worker(attempt=1, max_attempts=2, stop_requested=True).state is RunState.STOPPED


class TestCheckCanStop:
    @pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING])
    def test_what_waits_or_runs_can_be_stopped(self, state: RunState) -> None:
        check_can_stop(state)

    @pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.FAILED, RunState.STOPPED])
    def test_what_has_ended_cannot(self, state: RunState) -> None:
        with pytest.raises(Conflict) as caught:
            check_can_stop(state)
        assert caught.value.code == "job.ended"
