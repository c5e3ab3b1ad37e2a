"""The same job for other projects' trainers: what is written for them, and how they are followed to their end."""

import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from foreign_program import install

from loopwright.contracts.tasks import Hyperparameters
from trainer_svc.recipes import axolotl, llama_factory
from trainer_svc.recipes.failures import TrainingFailed
from trainer_svc.recipes.foreign import Plan, attempt, files_folder
from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.progress import (
    AnyLine,
    Evaluated,
    Failed,
    Finished,
    ProgressStream,
    Started,
    Stepped,
    parse_line,
)
from trainer_svc.recipes.samples import Sample
from trainer_svc.recipes.stopping import Stop

# fields of Axolotl's `AxolotlInputConfig` and `SFTDataset`, and of LLaMA-Factory's argument classes with Transformers',
# as the sources of 0.18 and 0.9.6 declare them
AXOLOTL = set(
    re.findall(
        r"\w+",
        """
        base_model output_dir dataset_prepared_path datasets test_datasets val_set_size chat_template
        sequence_len sample_packing eval_sample_packing micro_batch_size gradient_accumulation_steps
        num_epochs learning_rate lr_scheduler optimizer weight_decay seed bf16 gradient_checkpointing
        logging_steps save_steps save_total_limit auto_resume_from_checkpoints train_on_inputs warmup_ratio
        warmup_steps adapter load_in_4bit lora_r lora_alpha lora_dropout lora_target_linear peft_use_rslora
        peft_use_dora evals_per_epoch eval_steps early_stopping_patience load_best_model_at_end rl rl_beta
        lora_mlp_kernel lora_qkv_kernel lora_o_kernel
        """,
    )
)
AXOLOTL_DATASET = set(
    re.findall(
        r"\w+",
        """
        path split type field_messages roles_to_train train_on_eos message_field_training field_chosen
        field_rejected
        """,
    )
)
LLAMA_FACTORY = set(
    re.findall(
        r"\w+",
        """
        model_name_or_path stage do_train finetuning_type dataset dataset_dir eval_dataset cutoff_len packing
        neat_packing mask_history output_dir per_device_train_batch_size per_device_eval_batch_size
        gradient_accumulation_steps num_train_epochs learning_rate lr_scheduler_type warmup_steps weight_decay
        seed disable_gradient_checkpointing logging_steps save_steps save_strategy save_total_limit report_to
        lora_rank lora_alpha lora_dropout lora_target use_rslora use_dora quantization_method quantization_bit
        quantization_type double_quantization eval_strategy eval_steps load_best_model_at_end
        metric_for_best_model early_stopping_steps pref_beta
        """,
    )
)
TURNS = [{"role": "user", "content": "fan down"}, {"role": "assistant", "content": "alert"}]
ROWS = {"sft": {}, "dpo": {"rejected": "normal"}, "kto": {"thumb": True}}
JobMaker = Callable[..., JobFile]


@pytest.fixture
def a_job(tmp_path: Path) -> JobMaker:
    """Function that describes a job of four samples."""

    def make(**changes: object) -> JobFile:
        row = ROWS.get(str(changes.get("objective", "sft")), {})
        settings = Hyperparameters(batch_size=2, num_epochs=2).model_copy(update=dict(changes.pop("settings", {})))
        rows = [{"sample_id": f"s{number}", "messages": TURNS} | row for number in range(4)]
        for name in ("train", "validation"):
            (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in rows))
        (tmp_path / "base").mkdir(exist_ok=True)
        fields: dict[str, object] = {
            "job_id": "job", "base_model": tmp_path / "base", "train_file": tmp_path / "train.jsonl",
            "validation_file": tmp_path / "validation.jsonl", "checkpoint_dir": tmp_path / "job" / "checkpoints",
            "output_dir": tmp_path / "job" / "adapter", "hyperparameters": settings,
        }  # fmt: skip
        return JobFile.model_validate(fields | changes)

    return make


FULL = {"rs_lora": True, "early_stopping_patience": 2, "eval_every_steps": 5, "warmup_steps": 3, "packing": True}


class TestSettings:
    @pytest.mark.parametrize("objective", ["sft", "dpo"])
    @pytest.mark.parametrize("method", ["full", "lora", "qlora"])
    @pytest.mark.parametrize("settings", [{}, FULL])
    def test_of_axolotl_are_fields_that_it_knows(
        self, a_job: JobMaker, objective: str, method: str, settings: dict[str, object]
    ) -> None:
        job = a_job(objective=objective, method=method, settings=settings)
        told = axolotl.settings(job)
        assert set(told) <= AXOLOTL
        assert all(set(dataset) <= AXOLOTL_DATASET for dataset in (*told["datasets"], *told["test_datasets"]))

    @pytest.mark.parametrize("objective", ["sft", "dpo", "kto"])
    @pytest.mark.parametrize("method", ["full", "lora", "qlora"])
    @pytest.mark.parametrize("settings", [{}, FULL])
    def test_of_llama_factory_are_fields_that_it_knows(
        self, a_job: JobMaker, objective: str, method: str, settings: dict[str, object]
    ) -> None:
        assert (
            set(llama_factory.settings(a_job(objective=objective, method=method, settings=settings))) <= LLAMA_FACTORY
        )

    def test_say_what_the_job_says(self, a_job: JobMaker) -> None:
        job = a_job(method="qlora", settings=FULL | {"lora_rank": 7, "learning_rate": 0.5, "weight_decay": 0.25})
        one, other = axolotl.settings(job), llama_factory.settings(job)
        assert (one["adapter"], one["load_in_4bit"], other["quantization_bit"]) == ("qlora", True, 4)
        for name, counterpart, value in [
            ("lora_r", "lora_rank", 7), ("learning_rate", "learning_rate", 0.5), ("weight_decay", "weight_decay", 0.25),
            ("sequence_len", "cutoff_len", 512), ("micro_batch_size", "per_device_train_batch_size", 2),
            ("num_epochs", "num_train_epochs", 2), ("warmup_steps", "warmup_steps", 3), ("eval_steps", "eval_steps", 5),
            ("early_stopping_patience", "early_stopping_steps", 2), ("sample_packing", "neat_packing", True),
            ("peft_use_rslora", "use_rslora", True), ("base_model", "model_name_or_path", str(job.base_model)),
        ]:  # fmt: skip
            assert one[name] == other[counterpart] == value

    @pytest.mark.parametrize(
        ("plan", "objective"), [(axolotl.plan, "kto"), (axolotl.plan, "distill"), (llama_factory.plan, "distill")]
    )
    def test_are_refused_for_what_the_trainer_does_not_do(
        self, a_job: JobMaker, plan: Callable[[JobFile], Plan], objective: str
    ) -> None:
        with pytest.raises(TrainingFailed, match=f"does not learn objective {objective}") as caught:
            plan(a_job(objective=objective))
        assert caught.value.explanation.code == "training.not-supported"


def run(plan: Callable[[JobFile], Plan], job: JobFile) -> tuple[int, list[AnyLine]]:
    said = io.StringIO()
    status = attempt(plan, job, progress=ProgressStream(said), stop=Stop())
    return status, [parse_line(text) for text in said.getvalue().splitlines()]


class TestAttempt:
    @pytest.mark.parametrize(("plan", "program"), [(axolotl.plan, "axolotl"), (llama_factory.plan, "llamafactory-cli")])
    def test_gives_the_trainer_its_files_follows_it_and_takes_what_it_made(
        self,
        a_job: JobMaker,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        plan: Callable[[JobFile], Plan],
        program: str,
    ) -> None:
        job = a_job()
        install(tmp_path, program, output=job.checkpoint_dir)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

        status, lines = run(plan, job)

        assert status == 0
        started, *middle, finished = lines
        assert isinstance(started, Started)
        assert (started.total_steps, started.train_samples) == (4, 4)
        assert [(type(line), line.step) for line in middle] == [(Stepped, 1), (Evaluated, 2), (Stepped, 4)]
        assert isinstance(finished, Finished)
        assert (finished.step, finished.final_loss, finished.eval_loss) == (4, 0.5, 1.25)
        assert (job.output_dir / "adapter_model.safetensors").read_bytes() == b"weights"
        given = job.checkpoint_dir / "given"
        config = yaml.safe_load((given / "config.yaml").read_text())
        assert str(job.base_model) in config.values()
        first = json.loads((given / "train.jsonl").read_text().splitlines()[0])
        assert [turn["content"] for turn in first["messages"]] == ["fan down", "alert"]
        assert not files_folder(job).exists()  # nothing that people wrote is left lying there

    def test_runs_the_program_that_the_job_names(self, a_job: JobMaker, tmp_path: Path) -> None:
        job = a_job(program=tmp_path / "elsewhere")
        install(tmp_path, "elsewhere", output=job.checkpoint_dir)
        status, lines = run(axolotl.plan, job)
        assert (status, lines[-1].kind) == (0, "finished")

    def test_without_the_trainer_says_that_it_is_not_installed(self, a_job: JobMaker) -> None:
        status, lines = run(axolotl.plan, a_job())
        assert (status, lines[-1].kind) == (1, "failed")
        assert isinstance(lines[-1], Failed)
        assert lines[-1].code == "training.not-installed"
        assert "axolotl" in lines[-1].reason

    def test_of_a_trainer_that_dies_gives_its_last_words_and_knows_what_they_mean(
        self, a_job: JobMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = a_job()
        install(tmp_path, "axolotl", output=job.checkpoint_dir, end="sys.exit('CUDA out of memory. Tried to allocate')")
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        status, lines = run(axolotl.plan, job)
        assert status == 1
        assert isinstance(lines[-1], Failed)
        assert lines[-1].code == "training.out-of-memory"


class TestRows:
    def test_of_axolotl_teach_the_last_turn_alone(self, a_job: JobMaker) -> None:
        job = a_job()
        row = axolotl.plan(job).row(_sample(*TURNS, *TURNS))
        assert [turn["train"] for turn in row["messages"]] == [False, False, False, True]

    def test_of_llama_factory_have_calls_as_turns_of_their_own_kind(self, a_job: JobMaker) -> None:
        calls = [{"type": "function", "function": {"name": "restart", "arguments": '{"unit": "fan"}'}}]
        turn = {"role": "assistant", "content": json.dumps(calls), "tool_calls": json.dumps(calls)}
        row = llama_factory.plan(a_job()).row(_sample(TURNS[0], turn))
        last = row["messages"][-1]
        assert last["role"] == "function_call"
        assert json.loads(last["content"]) == [{"name": "restart", "arguments": {"unit": "fan"}}]

    def test_of_pairs_hold_both_answers(self, a_job: JobMaker) -> None:
        for plan in (axolotl.plan, llama_factory.plan):
            row = plan(a_job(objective="dpo")).row(_sample(*TURNS, rejected="normal"))
            assert [turn["content"] for turn in row["messages"]] == ["fan down"]
            assert (row["chosen"]["content"], row["rejected"]["content"]) == ("alert", "normal")


def _sample(*turns: dict[str, str], **fields: object) -> Sample:
    return Sample.model_validate_json(json.dumps({"sample_id": "s", "messages": turns} | fields))
