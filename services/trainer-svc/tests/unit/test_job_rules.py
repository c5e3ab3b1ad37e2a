"""Which jobs start by themselves, what runs them, what can never run, and what a process's end means."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import JsonValue

from loopwright.contracts.base import RunState
from loopwright.contracts.jobs import JobKind, JobRequested
from loopwright.contracts.registry import DATASET_VALIDATED, JOB_REQUESTED
from loopwright.contracts.tasks import Hyperparameters, Objective, Trainer, TrainingPolicy
from loopwright.errors import Conflict
from loopwright.testing.examples import an_event
from trainer_svc.domain.installed import Installed
from trainer_svc.domain.jobs import (
    Policy,
    check_can_delete,
    check_can_resume,
    check_can_stop,
    check_waits,
    ending_of_dead_process,
    ending_of_silent_worker,
    job_for,
    models_of,
    module_of,
    obstacle,
    other_trainer_of,
)

MODELS = Installed(
    folders={name: Path(name) for name in ("tiny", "larger")}, programs={"llama_factory": Path("llamafactory-cli")}
)
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
        assert data.request_id == version.request_id

    def test_there_is_none_when_the_policy_leaves_it_to_people(self) -> None:
        assert job_for(an_event(DATASET_VALIDATED), a_policy(auto=False), job_id="job-1", now=NOW) is None


class TestInheriting:
    CHAMPION = Hyperparameters(lora_rank=7, learning_rate=0.5, num_epochs=9)

    def settings(self, champion: Hyperparameters | None, **changes: JsonValue) -> Hyperparameters:
        version = an_event(DATASET_VALIDATED)
        job = job_for(version, a_policy(**changes), job_id="job-1", now=NOW, champion=champion)
        assert job is not None
        return job.hyperparameters

    def test_takes_the_champions_settings_but_for_what_the_policy_itself_says(self) -> None:
        found = self.settings(self.CHAMPION, inherit=True, hyperparameters={"num_epochs": 2})
        assert found == self.CHAMPION.model_copy(update={"num_epochs": 2})

    def test_is_left_alone_where_the_policy_does_not_ask_for_it(self) -> None:
        assert self.settings(self.CHAMPION, hyperparameters={"num_epochs": 2}) == Hyperparameters(num_epochs=2)

    def test_of_a_task_without_a_champion_leaves_the_policys_settings(self) -> None:
        assert self.settings(None, inherit=True, hyperparameters={"lora_rank": 3}) == Hyperparameters(lora_rank=3)


class TestModuleOf:
    @pytest.mark.parametrize("objective", ["sft", "dpo", "kto", "distill"])
    def test_training_runs_the_recipe_of_its_objective(self, objective: Objective) -> None:
        assert module_of(JobKind.TRAIN, objective, "loopwright") == f"trainer_svc.recipes.{objective}"

    @pytest.mark.parametrize(
        ("kind", "module"),
        [("merge", "merge"), ("gguf", "gguf"), ("gptq", "quantise"), ("awq", "quantise"), ("prune", "prune")],
    )
    def test_other_kinds_run_their_own(self, kind: str, module: str) -> None:
        assert module_of(JobKind(kind), "sft", "axolotl") == f"trainer_svc.recipes.{module}"

    @pytest.mark.parametrize("trainer", ["axolotl", "llama_factory"])
    def test_another_projects_trainer_has_a_recipe_for_all_that_it_learns(self, trainer: Trainer) -> None:
        assert module_of(JobKind.TRAIN, "dpo", trainer) == f"trainer_svc.recipes.{trainer}"


class TestObstacle:
    @pytest.mark.parametrize("objective", ["sft", "dpo", "kto"])
    def test_none_for_a_job_that_a_recipe_can_run(self, objective: str) -> None:
        assert obstacle(a_request(objective=objective), MODELS) is None

    def test_a_missing_base_model_is_named_with_those_that_are_there(self) -> None:
        reason = obstacle(a_request(base_model="huge"), MODELS)
        assert reason == "base model huge is not installed here (installed: larger, tiny)"

    def test_distillation_needs_a_teacher_that_is_installed(self) -> None:
        assert obstacle(a_request(objective="distill", hyperparameters={"teacher": "larger"}), MODELS) is None
        without = obstacle(a_request(objective="distill"), MODELS)
        assert without is not None
        assert "needs a teacher" in without
        unknown = obstacle(a_request(objective="distill", hyperparameters={"teacher": "huge"}), MODELS)
        assert unknown == "teacher huge is not installed here (installed: larger, tiny)"

    def test_a_teacher_that_teaches_nothing_need_not_be_installed(self) -> None:
        assert obstacle(a_request(objective="sft", hyperparameters={"teacher": "huge"}), MODELS) is None
        assert models_of("tiny", Hyperparameters(teacher="huge"), objective="sft") == ("tiny",)

    @pytest.mark.parametrize("kind", [kind for kind in JobKind if kind is not JobKind.TRAIN])
    def test_other_kinds_than_training_need_an_adapter(self, kind: JobKind) -> None:
        reason = obstacle(a_request(kind=kind), MODELS)
        assert reason is not None
        assert kind in reason

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            (
                {"hyperparameters": {"trainer": "axolotl"}},
                "axolotl is not installed here (installed: loopwright, llama_factory)",
            ),
            (
                {"hyperparameters": {"trainer": "axolotl"}, "objective": "kto"},
                "does not learn objective kto: it learns sft and dpo",
            ),
            ({"hyperparameters": {"trainer": "llama_factory"}, "device_count": 2}, "one device only"),
            ({"hyperparameters": {"trainer": "llama_factory", "sharding": "ddp"}}, "one device only"),
        ],
    )
    def test_another_projects_trainer_must_be_there_and_able(self, changes: dict[str, JsonValue], words: str) -> None:
        assert words in (obstacle(a_request(**changes), MODELS) or "")

    def test_another_projects_trainer_that_is_installed_is_none(self) -> None:
        assert obstacle(a_request(hyperparameters={"trainer": "llama_factory"}, objective="kto"), MODELS) is None

    def test_work_on_an_adapter_needs_no_trainer_of_another_project(self) -> None:
        assert other_trainer_of(JobKind.MERGE, Hyperparameters(trainer="axolotl")) is None
        assert other_trainer_of(JobKind.TRAIN, Hyperparameters(trainer="axolotl")) == "axolotl"

    def test_slots_that_contradict_their_number_or_each_other_are_refused(self) -> None:
        assert obstacle(a_request(devices=["cuda:0", "cuda:1"]), MODELS) is None
        assert obstacle(a_request(devices=["cuda:0", "cuda:1"], device_count=2), MODELS) is None
        assert "3 devices" in (obstacle(a_request(devices=["cuda:0", "cuda:1"], device_count=3), MODELS) or "")
        assert "twice" in (obstacle(a_request(devices=["cuda:0", "cuda:0"]), MODELS) or "")

    @pytest.mark.parametrize("slot", ["tpu:0", "cuda", "cuda:x", "cuda:0\n", "../cuda:0", ""])
    def test_what_is_no_slot_is_named(self, slot: str) -> None:
        assert "is no slot" in (obstacle(a_request(devices=[slot]), MODELS) or "")

    @pytest.mark.parametrize("name", ["batch_size", "gradient_accumulation_steps", "max_seq_length", "num_epochs"])
    def test_sizes_beyond_every_machine_are_refused(self, name: str) -> None:
        assert name in (obstacle(a_request(hyperparameters={name: 10**300}), MODELS) or "")


def a_request(**changes: JsonValue) -> JobRequested:
    standard: dict[str, JsonValue] = {"base_model": "tiny", "objective": "sft", "hyperparameters": {}}
    return an_event(JOB_REQUESTED, **(standard | changes))


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


class TestSteering:
    @pytest.mark.parametrize("state", [RunState.STOPPED, RunState.FAILED])
    def test_what_was_stopped_or_failed_can_be_resumed_and_deleted(self, state: RunState) -> None:
        check_can_resume(state)
        check_can_delete(state)

    @pytest.mark.parametrize(
        ("state", "code"),
        [
            (RunState.QUEUED, "job.not-ended"),
            (RunState.RUNNING, "job.not-ended"),
            (RunState.SUCCEEDED, "job.succeeded"),
        ],
    )
    def test_what_waits_runs_or_succeeded_is_not_resumed(self, state: RunState, code: str) -> None:
        with pytest.raises(Conflict) as caught:
            check_can_resume(state)
        assert caught.value.code == code

    @pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING])
    def test_what_has_not_ended_is_not_deleted(self, state: RunState) -> None:
        with pytest.raises(Conflict) as caught:
            check_can_delete(state)
        assert caught.value.code == "job.not-ended"

    @pytest.mark.parametrize("state", [state for state in RunState if state is not RunState.QUEUED])
    def test_only_what_waits_has_a_place_in_the_queue(self, state: RunState) -> None:
        check_waits(RunState.QUEUED)
        with pytest.raises(Conflict) as caught:
            check_waits(state)
        assert caught.value.code == "job.not-waiting"
