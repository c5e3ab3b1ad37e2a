"""How processes share, as the trainer is told."""

from pathlib import Path

import pytest

from loopwright.contracts.tasks import Hyperparameters
from trainer_svc.recipes.checkpoints import seal
from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.sharding import Hardware, processes_of, sharding_arguments, sharding_of

CPU, GPU = Hardware(on_cuda=False), Hardware(on_cuda=True)


def a_job(folder: Path, *, sharding: str = "none", world_size: int = 2, method: str = "lora", accumulation: int = 1):
    chosen = Hyperparameters.model_validate({"sharding": sharding, "gradient_accumulation_steps": accumulation})
    return JobFile(
        job_id="job", base_model=folder, train_file=folder, checkpoint_dir=folder / "checkpoints",
        output_dir=folder, method=method, world_size=world_size, hyperparameters=chosen,
    )  # fmt: skip


def written_by(processes: int, folder: Path) -> None:
    checkpoint = folder / "checkpoints" / "checkpoint-5"
    checkpoint.mkdir(parents=True)
    for rank in range(processes):
        (checkpoint / (f"rng_state_{rank}.pth" if processes > 1 else "rng_state.pth")).write_text("state")
    seal(checkpoint, step=5)
    assert processes_of(checkpoint) == processes


class TestSharding:
    def test_of_several_processes_is_data_parallel_unless_said_otherwise(self, tmp_path: Path) -> None:
        assert sharding_of(a_job(tmp_path)) == "ddp"
        assert sharding_of(a_job(tmp_path, sharding="zero2")) == "zero2"

    def test_of_one_process_is_none_unless_it_asks_for_shards(self, tmp_path: Path) -> None:
        assert sharding_of(a_job(tmp_path, world_size=1, sharding="ddp")) == "none"
        assert sharding_of(a_job(tmp_path, world_size=1, sharding="fsdp2")) == "fsdp2"

    @pytest.mark.parametrize("sharding", ["none", "ddp"])
    def test_without_shards_needs_no_configuration(self, tmp_path: Path, sharding: str) -> None:
        arguments = sharding_arguments(a_job(tmp_path, sharding=sharding), CPU)
        assert arguments["use_cpu"]
        assert (arguments["deepspeed"], arguments["fsdp"], arguments["accelerator_config"]) == (None, None, None)

    @pytest.mark.parametrize(("sharding", "stage"), [("zero2", 2), ("zero3", 3)])
    def test_by_zero_names_its_stage_and_leaves_the_batch_to_the_trainer(
        self, tmp_path: Path, sharding: str, stage: int
    ) -> None:
        arguments = sharding_arguments(a_job(tmp_path, sharding=sharding), GPU)
        config = arguments["deepspeed"]
        assert config is not None
        zero = config["zero_optimization"]
        assert isinstance(zero, dict)
        assert zero["stage"] == stage
        assert zero.get("stage3_gather_16bit_weights_on_model_save", False) == (stage == 3)
        assert "offload_optimizer" not in zero
        assert {config["train_batch_size"], config["gradient_accumulation_steps"], config["bf16"]["enabled"]} == {
            "auto"
        }
        assert arguments["fsdp"] is None

    def test_offloads_the_optimizer_when_asked_to(self, tmp_path: Path) -> None:
        offloading = Hardware(on_cuda=True, offload=True)
        zero = sharding_arguments(a_job(tmp_path, sharding="zero3"), offloading)["deepspeed"]["zero_optimization"]
        assert zero["offload_optimizer"] == {"device": "cpu", "pin_memory": True}
        fsdp = sharding_arguments(a_job(tmp_path, sharding="fsdp2"), offloading)["fsdp_config"]
        assert fsdp["cpu_offload"]

    def test_by_fsdp2_recomputes_activations_itself(self, tmp_path: Path) -> None:
        arguments = sharding_arguments(a_job(tmp_path, sharding="fsdp2"), GPU)
        assert arguments["fsdp"]
        assert arguments["fsdp_config"]["version"] == 2
        assert arguments["fsdp_config"]["activation_checkpointing"]
        assert not arguments["gradient_checkpointing"]

    @pytest.mark.parametrize("sharding", ["zero2", "zero3", "fsdp2"])
    def test_on_a_cpu_hands_accelerate_a_state_that_does_not_forget_it(self, tmp_path: Path, sharding: str) -> None:
        arguments = sharding_arguments(a_job(tmp_path, sharding=sharding), CPU)
        assert not arguments["use_cpu"]
        assert arguments["accelerator_config"] == {"use_configured_state": True}

    @pytest.mark.parametrize("sharding", ["zero3", "fsdp2"])
    def test_of_4_bit_weights_is_refused_with_advice(self, tmp_path: Path, sharding: str) -> None:
        with pytest.raises(TrainingFailed) as refused:
            sharding_arguments(a_job(tmp_path, sharding=sharding, method="qlora"), GPU)
        assert refused.value.explanation.code == "training.sharding-refused"
        assert "zero2" in refused.value.explanation.advice


class TestResumeByAnotherNumberOfProcesses:
    @pytest.mark.parametrize(("before", "now", "accumulation"), [(2, 1, 4), (2, 4, 1), (4, 2, 4), (2, 2, 2)])
    def test_keeps_the_batch_of_a_step(self, tmp_path: Path, before: int, now: int, accumulation: int) -> None:
        written_by(before, tmp_path)
        job = a_job(tmp_path, sharding="fsdp2", world_size=now, accumulation=2)
        assert sharding_arguments(job, CPU)["gradient_accumulation_steps"] == accumulation

    def test_is_refused_when_the_batch_cannot_be_divided(self, tmp_path: Path) -> None:
        written_by(2, tmp_path)
        with pytest.raises(TrainingFailed, match="3 processes cannot make batches"):
            sharding_arguments(a_job(tmp_path, sharding="ddp", world_size=3), CPU)

    @pytest.mark.parametrize("sharding", ["zero2", "zero3"])
    def test_is_refused_for_zero(self, tmp_path: Path, sharding: str) -> None:
        written_by(4, tmp_path)
        with pytest.raises(TrainingFailed, match="cannot be resumed by 2") as refused:
            sharding_arguments(a_job(tmp_path, sharding=sharding), CPU)
        assert "4 devices" in refused.value.explanation.advice
