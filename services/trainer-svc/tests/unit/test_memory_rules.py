"""The estimate of memory follows what it is said to depend on, and machines are read right."""

from dataclasses import replace
from pathlib import Path

import pytest

from loopwright.contracts.jobs import JobKind
from loopwright.contracts.tasks import Hyperparameters
from trainer_svc.adapters.installed import read_installed
from trainer_svc.adapters.memory import parse_gpus, read_main_memory
from trainer_svc.domain.memory import ModelShape, Undertaking, peak_bytes

SMOLLM2_135M = ModelShape(
    vocabulary=49152, hidden=576, layers=30, heads=9, kv_heads=3, head_size=64, mlp=1536, tied=True
)
LLAMA3_8B = ModelShape(
    vocabulary=128256, hidden=4096, layers=32, heads=32, kv_heads=8, head_size=128, mlp=14336, tied=False
)


def a_work(**chosen: object) -> Undertaking:
    standard = {"batch_size": 1, "max_seq_length": 1024, "gradient_checkpointing": True}
    return Undertaking(
        kind=JobKind.TRAIN, method="lora", objective="sft",
        hyperparameters=Hyperparameters.model_validate(standard | chosen),
    )  # fmt: skip


class TestParameters:
    @pytest.mark.parametrize(("shape", "published"), [(SMOLLM2_135M, 134.5e6), (LLAMA3_8B, 8.03e9)])
    def test_are_those_that_the_models_cards_give(self, shape: ModelShape, published: float) -> None:
        assert shape.parameters == pytest.approx(published, rel=0.005)

    def test_of_an_adapter_are_those_that_peft_counts(self) -> None:
        # print_trainable_parameters() of rank 8 on all linear layers of SmolLM2-135M
        assert SMOLLM2_135M.adapter_parameters(8) == 2_442_240


class TestPeak:
    def test_full_fine_tuning_holds_sixteen_bytes_a_parameter(self) -> None:
        full = replace(a_work(), method="full")
        states = peak_bytes(full, LLAMA3_8B, device="cuda")
        assert 16 * LLAMA3_8B.parameters < states < 17.5 * LLAMA3_8B.parameters

    def test_lora_on_an_8b_model_fits_a_gpu_of_24_gb_and_qlora_one_of_12(self) -> None:
        lora, qlora = a_work(), replace(a_work(), method="qlora")
        assert 17e9 < peak_bytes(lora, LLAMA3_8B, device="cuda") < 24e9
        assert 6e9 < peak_bytes(qlora, LLAMA3_8B, device="cuda") < 12e9

    @pytest.mark.parametrize(
        "more",
        [{"batch_size": 2}, {"max_seq_length": 2048}, {"lora_rank": 64}, {"gradient_checkpointing": False}],
    )
    def test_grows_with_what_the_advice_tells_to_lessen(self, more: dict[str, object]) -> None:
        assert peak_bytes(a_work(**more), LLAMA3_8B, device="cuda") > peak_bytes(a_work(), LLAMA3_8B, device="cuda")

    def test_checkpointing_is_on_where_nobody_says_on_gpus_only(self) -> None:
        open_ = a_work(gradient_checkpointing=None)
        assert peak_bytes(open_, LLAMA3_8B, device="cuda") == peak_bytes(a_work(), LLAMA3_8B, device="cuda")
        without = a_work(gradient_checkpointing=False)
        assert peak_bytes(open_, LLAMA3_8B, device="cpu") == peak_bytes(without, LLAMA3_8B, device="cpu")

    def test_sharding_divides_states_and_then_weights(self) -> None:
        full = replace(a_work(), method="full", device_count=4)
        by_stage = [
            peak_bytes(
                replace(full, hyperparameters=full.hyperparameters.model_copy(update={"sharding": stage})),
                LLAMA3_8B,
                device="cuda",
            )
            for stage in ("ddp", "zero2", "zero3")
        ]
        assert by_stage == sorted(by_stage, reverse=True)
        assert by_stage[0] - by_stage[1] == pytest.approx(9 * LLAMA3_8B.parameters, rel=0.01)
        assert by_stage[1] - by_stage[2] == pytest.approx(3 * LLAMA3_8B.parameters, rel=0.01)

    def test_pairs_of_answers_need_more_and_so_does_a_teacher(self) -> None:
        sft, dpo = a_work(), replace(a_work(), objective="dpo")
        assert peak_bytes(dpo, LLAMA3_8B, device="cuda") > peak_bytes(sft, LLAMA3_8B, device="cuda")
        taught = peak_bytes(sft, SMOLLM2_135M, device="cuda", teacher=LLAMA3_8B)
        assert taught - peak_bytes(sft, SMOLLM2_135M, device="cuda") == 2 * LLAMA3_8B.parameters

    def test_short_samples_need_less_than_the_longest_that_may_come(self) -> None:
        short = replace(a_work(max_seq_length=4096), mean_sample_bytes=400.0)
        assert short.longest_tokens == 400
        assert replace(short, mean_sample_bytes=90_000.0).longest_tokens == 4096
        packed = short.hyperparameters.model_copy(update={"packing": True})
        assert replace(short, hyperparameters=packed).longest_tokens == 4096


class TestReading:
    def test_shapes_come_from_configurations_and_what_has_none_is_left_out(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text(
            '{"vocab_size": 10, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 4,'
            ' "intermediate_size": 16, "num_experts": 3}'
        )
        installed = read_installed({"there": tmp_path, "gone": tmp_path / "gone"}, programs={})
        assert installed.shapes == {
            "there": ModelShape(
                vocabulary=10, hidden=8, layers=2, heads=4, kv_heads=4, head_size=2, mlp=16, experts=3, tied=False
            )
        }

    def test_trainers_are_found_where_they_are_said_to_be_or_on_the_path(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        named, found = tmp_path / "elsewhere", tmp_path / "bin" / "llamafactory-cli"
        found.parent.mkdir()
        for program in (named, found):
            program.touch(mode=0o755)
        monkeypatch.setenv("PATH", str(found.parent))
        assert read_installed({}, programs={"axolotl": named}).programs == {"axolotl": named, "llama_factory": found}
        assert read_installed({}, programs={"axolotl": tmp_path / "gone"}).programs == {"llama_factory": found}

    def test_main_memory_ends_at_the_limit_of_the_control_group(self, tmp_path: Path) -> None:
        meminfo = tmp_path / "meminfo"
        meminfo.write_text("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 800 kB\n")
        assert read_main_memory(meminfo, tmp_path) == (1000 * 1024, 800 * 1024)
        (tmp_path / "memory.max").write_text(f"{500 * 1024}\n")
        (tmp_path / "memory.current").write_text(f"{100 * 1024}\n")
        assert read_main_memory(meminfo, tmp_path) == (500 * 1024, 400 * 1024)
        (tmp_path / "memory.max").write_text("max\n")
        assert read_main_memory(meminfo, tmp_path) == (1000 * 1024, 800 * 1024)

    def test_gpus_are_read_as_the_driver_tells_them(self) -> None:
        answer = "0, 81559, 81000\n1, [N/A], [N/A]\n2, 40960, 40\n"
        assert parse_gpus(answer) == [(0, 81559 << 20, 81000 << 20), (2, 40960 << 20, 40 << 20)]
