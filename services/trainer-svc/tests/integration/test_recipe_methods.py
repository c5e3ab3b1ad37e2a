"""Methods and settings of a run on a tiny model: each trains, and does what its name says."""

import json
from pathlib import Path
from statistics import mean

import pytest
import torch
from alert_samples import answered, preferences, write_cases
from bitsandbytes.nn import Linear4bit
from recipe_runs import SETTINGS, WARNINGS, JobMaker, adapter_of, describe_job, of_kind, run, same_adapters

from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.models import computing_dtype, load_model
from trainer_svc.recipes.progress import EXIT_STOPPED, Evaluated, Started, Stepped

pytestmark = WARNINGS
LEARNED, WATCHED, HELD_OUT = range(48), range(60, 76), range(100, 140)


@pytest.fixture
def a_job(tmp_path: Path, tiny_model: Path) -> JobMaker:
    """Function that describes supervised fine-tuning."""

    def make(name: str = "job", **changes: object) -> JobFile:
        settings = SETTINGS.model_copy(update=changes.pop("settings", {}))
        fields: dict[str, object] = {
            "base_model": tiny_model,
            "train_file": write_cases(tmp_path / "train.jsonl", LEARNED, answered),
            "validation_file": write_cases(tmp_path / "validation.jsonl", WATCHED, answered),
            "hyperparameters": settings,
        }
        return describe_job(tmp_path / name, **(fields | changes))

    return make


def losses(job: JobFile) -> list[float]:
    return [line.loss for line in of_kind(run(job)[1], Stepped)]


class TestMethod:
    @pytest.mark.parametrize(
        ("method", "options"),
        [("lora", {}), ("lora", {"rs_lora": True}), ("lora", {"dora": True}), ("qlora", {}), ("qlora", {"dora": True})],
    )
    def test_learns_what_it_was_not_shown(
        self, a_job: JobMaker, tiny_model: Path, method: str, options: dict[str, bool]
    ) -> None:
        job = a_job(method=method, settings=options | {"num_epochs": 8, "learning_rate": 0.005})

        status, lines = run(job)

        assert status == 0
        steps, watched = of_kind(lines, Stepped), of_kind(lines, Evaluated)
        assert steps[-1].loss < steps[0].loss / 2
        assert watched[-1].eval_loss < watched[0].eval_loss
        before, after = (preferences(tiny_model, adapter, HELD_OUT) for adapter in (None, job.output_dir))
        assert mean(margin > 0 for margin in after) >= mean(margin > 0 for margin in before) + 0.4
        written = json.loads((job.output_dir / "adapter_config.json").read_text())
        assert written["use_rslora"] is options.get("rs_lora", False)
        assert written["use_dora"] is options.get("dora", False)
        assert any("magnitude" in name for name in adapter_of(job)) is options.get("dora", False)

    @pytest.mark.parametrize("method", ["full", "qlora"])
    def test_resumes_bit_for_bit(self, a_job: JobMaker, method: str) -> None:
        settings = {"learning_rate": 0.002, "num_epochs": 1}
        whole, parted = (a_job(name, method=method, settings=settings) for name in ("whole", "parted"))
        told = run(whole)[1]

        status, first = run(parted, stop_after_step=6)
        second = run(parted)[1]

        assert status == EXIT_STOPPED
        assert of_kind(second, Started)[0].step == 7
        assert {line.step: line.loss for line in of_kind([*first, *second], Stepped)} == {
            line.step: line.loss for line in of_kind(told, Stepped)
        }
        assert method == "full" or same_adapters(whole, parted)

    def test_qlora_keeps_the_base_in_four_bits_and_the_adapter_in_what_the_device_computes_in(
        self, a_job: JobMaker
    ) -> None:
        job = a_job(method="qlora", settings={"num_epochs": 1})
        layers = [module for module in load_model(job).modules() if isinstance(module, Linear4bit)]
        assert {layer.weight.quant_type for layer in layers} == {"nf4"}
        assert len(layers) == 14  # seven in each of two layers; the head stays whole
        run(job)
        assert {value.dtype for value in adapter_of(job).values()} == {computing_dtype()}


class TestSettings:
    def test_gradient_checkpointing_changes_no_loss(self, a_job: JobMaker) -> None:
        plain = losses(a_job("plain", settings={"num_epochs": 1, "lora_dropout": 0.0}))
        settings = {"num_epochs": 1, "lora_dropout": 0.0, "gradient_checkpointing": True}
        assert losses(a_job("sparing", settings=settings)) == pytest.approx(plain, rel=1e-4)

    def test_warmup_steps_take_the_place_of_the_share(self, a_job: JobMaker) -> None:
        rates = [
            line.learning_rate
            for line in of_kind(run(a_job(settings={"num_epochs": 1, "warmup_steps": 4}))[1], Stepped)
        ]
        assert rates.index(max(rates)) == 4
        assert rates[:5] == sorted(rates[:5])

    def test_weight_decay_makes_adapters_smaller(self, a_job: JobMaker) -> None:
        free, held = (a_job(name, settings={"weight_decay": decay}) for name, decay in (("free", 0.0), ("held", 10.0)))
        run(free)
        run(held)
        size = {name: sum(value.norm() for value in adapter_of(job).values()) for name, job in
                (("free", free), ("held", held))}  # fmt: skip
        assert size["held"] < size["free"]

    def test_another_seed_is_another_run(self, a_job: JobMaker) -> None:
        one, two = (a_job(str(seed), settings={"num_epochs": 1, "seed": seed}) for seed in (1, 2))
        run(one)
        run(two)
        assert not torch.equal(*(next(iter(adapter_of(job).values())) for job in (one, two)))

    def test_evaluates_every_so_many_steps(self, a_job: JobMaker) -> None:
        lines = run(a_job(settings={"num_epochs": 1, "eval_every_steps": 5}))[1]
        assert [line.step for line in of_kind(lines, Evaluated)] == [5, 10, 12]


class TestPacking:
    def test_leaves_loss_and_gradient_what_they_are(self, a_job: JobMaker) -> None:
        settings = {"num_epochs": 1, "lora_dropout": 0.0, "max_seq_length": 1024}
        apart = of_kind(run(a_job("apart", settings=settings | {"batch_size": 48}))[1], Stepped)
        lines = run(a_job("packed", settings=settings | {"batch_size": 1, "packing": True}))[1]
        packed = of_kind(lines, Stepped)
        assert of_kind(lines, Started)[0].train_samples == 48
        assert len(apart) == len(packed) == 1  # all samples in one batch, and in one sequence
        assert packed[0].loss == pytest.approx(apart[0].loss, rel=1e-4)
        assert packed[0].grad_norm == pytest.approx(apart[0].grad_norm, rel=1e-3)
        assert of_kind(lines, Evaluated)[0].eval_loss == pytest.approx(apart[0].loss, rel=1)

    def test_learns(self, a_job: JobMaker) -> None:
        settings = {"num_epochs": 12, "packing": True, "max_seq_length": 64, "batch_size": 2, "lora_dropout": 0.0}
        lines = run(a_job(settings=settings))[1]
        steps, watched = of_kind(lines, Stepped), of_kind(lines, Evaluated)
        assert steps[0].total_steps < 48 / 2 * 12  # several samples in each sequence
        assert steps[-1].loss < steps[0].loss / 2
        assert watched[-1].eval_loss < watched[0].eval_loss
