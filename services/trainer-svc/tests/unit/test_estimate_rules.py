"""What a job will take is learned from earlier runs, and says when it was not."""

from dataclasses import replace

import pytest

from loopwright.contracts.jobs import JobKind
from loopwright.contracts.tasks import Hyperparameters
from trainer_svc.domain.estimates import PastRun, Prospect, estimate, planned_steps
from trainer_svc.domain.memory import ModelShape, Undertaking

TINY = ModelShape(vocabulary=100, hidden=8, layers=2, heads=2, kv_heads=2, head_size=4, mlp=16)
LARGE = replace(TINY, layers=20)
SHAPES = {"tiny": TINY, "large": LARGE}


def a_work(**chosen: object) -> Undertaking:
    standard = {"batch_size": 4, "num_epochs": 2, "max_seq_length": 64}
    return Undertaking(
        kind=JobKind.TRAIN, method="lora", objective="sft",
        hyperparameters=Hyperparameters.model_validate(standard | chosen),
    )  # fmt: skip


def a_prospect(**changes: object) -> Prospect:
    standard = Prospect(
        work=a_work(), base_model="tiny", samples=100, data_bytes=8_000, device_kind="cpu", price_per_device_hour=None
    )
    return replace(standard, **changes)


def a_run(**changes: object) -> PastRun:
    """50 tokens a second, half a token a byte, ten seconds until it got going."""
    standard = PastRun(
        kind=JobKind.TRAIN, base_model="tiny", method="lora", device_kind="cpu", device_count=1, seconds=110,
        tokens=5_000, train_s=100, data_bytes=10_000,
    )  # fmt: skip
    return replace(standard, **changes)


class TestSteps:
    @pytest.mark.parametrize(
        ("chosen", "devices", "steps"),
        [({}, 1, 50), ({"gradient_accumulation_steps": 3}, 1, 18), ({}, 4, 14), ({"num_epochs": 0.5}, 1, 13)],
    )
    def test_are_those_that_the_trainer_takes(self, chosen: dict[str, object], devices: int, steps: int) -> None:
        assert planned_steps(replace(a_work(**chosen), device_count=devices), 100) == steps


class TestLearned:
    def test_time_is_that_of_earlier_runs_of_the_same_model_method_and_device(self) -> None:
        found = estimate(a_prospect(), [a_run()], SHAPES)
        assert found.tokens == 8_000  # 8,000 bytes, half a token each, twice
        assert found.seconds == pytest.approx(10 + 8_000 / 50)
        assert (found.earlier_runs, found.basis) == (
            1, "median speed of 1 run of the same base model, method and kind of device",
        )  # fmt: skip

    def test_runs_on_other_devices_teach_nothing_about_time(self) -> None:
        found = estimate(a_prospect(), [a_run(device_kind="cuda")], SHAPES)
        assert found.earlier_runs == 0
        assert "assumed" in found.basis
        assert found.tokens == 8_000  # but about tokens they do

    def test_another_model_teaches_by_its_size(self) -> None:
        found = estimate(a_prospect(base_model="large"), [a_run()], SHAPES)
        slower = LARGE.parameters / TINY.parameters
        assert found.tokens == 4_000  # a quarter of a token a byte, until this model has run
        assert found.seconds == pytest.approx(20 + 4_000 / 50 * slower)
        assert "by their sizes" in found.basis

    def test_with_nothing_learned_it_says_what_it_assumes(self) -> None:
        found = estimate(a_prospect(), [], SHAPES)
        assert found.earlier_runs == 0
        assert "no job has run on cpu yet" in found.basis
        assert found.seconds == pytest.approx(20 + 4_000 * TINY.parameters * 4 / 1e11)

    def test_an_unknown_model_without_runs_has_no_time_and_no_memory(self) -> None:
        found = estimate(a_prospect(base_model="secret"), [], SHAPES)
        assert (found.seconds, found.peak_memory_bytes, found.cost) == (None, None, None)

    def test_tokens_never_exceed_what_the_longest_samples_hold(self) -> None:
        assert estimate(a_prospect(data_bytes=10**9), [], SHAPES).tokens == 100 * 64 * 2

    def test_several_devices_share_the_time(self) -> None:
        two = a_prospect(work=replace(a_work(), device_count=2), price_per_device_hour=3.6)
        found = estimate(two, [a_run()], SHAPES)
        assert found.seconds == pytest.approx(10 + 8_000 / 100)
        assert found.cost == pytest.approx(0.001 * 2 * 90)

    def test_other_kinds_learn_from_their_like(self) -> None:
        merge = a_prospect(work=replace(a_work(), kind=JobKind.MERGE))
        assert estimate(merge, [a_run()], SHAPES).seconds is None
        found = estimate(merge, [a_run(kind=JobKind.MERGE, seconds=7, tokens=None), a_run()], SHAPES)
        assert (found.seconds, found.steps, found.tokens) == (7, None, None)
