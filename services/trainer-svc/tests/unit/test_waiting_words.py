"""A job that waits says for what, and one that fits nowhere says why."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from trainer_svc.domain.queue import Demand
from trainer_svc.domain.waiting import WorkerState, too_large, waiting_for

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
GB = 1_000_000_000


def a_demand(**changes: object) -> Demand:
    standard = Demand(
        job_id="job-9", party="ann", priority=0, models=("tiny",), devices=(), device_count=1, requested_at=NOON,
        queued_at=NOON,
    )  # fmt: skip
    return replace(standard, **changes)


def a_worker(**changes: object) -> WorkerState:
    standard = WorkerState(
        name="here", slots=("cuda:0", "cuda:1"), base_models=("tiny",), most_jobs=2, held={}, total_bytes={},
        free_bytes={},
    )  # fmt: skip
    return replace(standard, **changes)


class TestWaitingFor:
    @pytest.mark.parametrize(
        ("demand", "worker", "words"),
        [
            (a_demand(), None, "a worker: none has been heard of lately"),
            (
                a_demand(models=("huge",)),
                a_worker(),
                "its base model huge, which worker here does not have",
            ),
            (
                a_demand(trainer="axolotl"),
                a_worker(trainers=("llama_factory",)),
                "its trainer axolotl, which worker here does not have",
            ),
            (
                a_demand(devices=("cuda:7",)),
                a_worker(),
                "slot cuda:7: no worker with its base model has them (here has cuda:0, cuda:1)",
            ),
            (
                a_demand(device_count=3),
                a_worker(),
                "3 slots of one kind at once: no worker with its base model has them (here has cuda:0, cuda:1)",
            ),
            (
                a_demand(),
                a_worker(held={"cuda:0": "job-1", "cuda:1": "job-2"}),
                "one of 2 places of worker here: job-1 and job-2 run",
            ),
            (a_demand(), a_worker(most_jobs=1, held={"cuda:0": "job-1"}), "the place of worker here: job-1 runs"),
            (
                a_demand(devices=("cuda:0",)),
                a_worker(held={"cuda:0": "job-1"}),
                "slot cuda:0, held by job-1",
            ),
            (
                a_demand(),
                a_worker(slots=("cpu:0",), held={"cpu:0": "job-1"}),
                "slot cpu:0, held by job-1",
            ),
            (
                a_demand(device_count=2),
                a_worker(held={"cuda:1": "job-1"}),
                "2 slots of one kind at once: slot cuda:1, held by job-1",
            ),
            (
                a_demand(devices=("cuda:0", "cuda:1"), device_count=2),
                a_worker(held={"cuda:1": "job-1"}),
                "slot cuda:1, held by job-1 (all of its slots at once)",
            ),
            (
                a_demand(need_bytes={"cpu": 6 * GB}),
                a_worker(slots=("cpu:0",), free_bytes={"cpu": 2 * GB}),
                "memory of cpu on worker here: it needs about 6.0 GB, free are 2.0 GB",
            ),
        ],
    )
    def test_names_what_must_happen(self, demand: Demand, worker: WorkerState | None, words: str) -> None:
        assert waiting_for(demand, [worker] if worker else [], ahead=0) == words

    def test_of_a_job_behind_others_is_its_turn(self) -> None:
        assert waiting_for(a_demand(), [a_worker()], ahead=1) == "its turn: 1 job goes first"
        assert waiting_for(a_demand(), [a_worker()], ahead=2) == "its turn: 2 jobs go first"

    def test_of_a_job_that_fits_is_the_next_look(self) -> None:
        assert waiting_for(a_demand(), [a_worker()], ahead=0) == "the worker's next look"

    def test_tells_of_three_workers_and_counts_the_others(self) -> None:
        workers = [a_worker(name=f"w{number}", most_jobs=1, held={"cuda:0": f"job-{number}"}) for number in range(5)]
        words = waiting_for(a_demand(), workers, ahead=0)
        assert words.count("the place of worker") == 3
        assert words.endswith("or the like of 2 other workers")


class TestTooLarge:
    def test_names_need_and_room(self) -> None:
        worker = a_worker(slots=("cpu:0",), total_bytes={"cpu": 8 * GB})
        words = too_large(a_demand(need_bytes={"cpu": 20 * GB}), [worker])
        assert words == "it needs about 20.0 GB on cpu, and worker here has 8.0 GB"

    def test_nothing_if_one_worker_has_the_room(self) -> None:
        small = a_worker(slots=("cpu:0",), total_bytes={"cpu": 8 * GB})
        large = a_worker(name="there", slots=("cpu:0",), total_bytes={"cpu": 80 * GB})
        assert too_large(a_demand(need_bytes={"cpu": 20 * GB}), [small, large]) is None

    def test_nothing_if_nobody_knows(self) -> None:
        assert too_large(a_demand(need_bytes={"cuda": 20 * GB}), [a_worker()]) is None
        assert too_large(a_demand(), [a_worker(total_bytes={"cuda:0": 1})]) is None
        assert too_large(a_demand(need_bytes={"cuda": 20 * GB}), []) is None

    def test_what_is_in_use_now_does_not_count(self) -> None:
        worker = a_worker(slots=("cpu:0",), total_bytes={"cpu": 8 * GB}, free_bytes={"cpu": 0})
        assert too_large(a_demand(need_bytes={"cpu": 6 * GB}), [worker]) is None
