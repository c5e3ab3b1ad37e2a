"""Distillation on tiny models: the student's predictions come nearer to the teacher's."""

from pathlib import Path

import pytest
import torch
from alert_samples import answered, case, write_cases
from peft import PeftModel
from recipe_runs import SETTINGS, WARNINGS, JobMaker, describe_job, of_kind, run, same_adapters
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.progress import EXIT_FAILED, EXIT_STOPPED, Evaluated, Failed, Started, Stepped

pytestmark = WARNINGS
LEARNED, WATCHED, HELD_OUT = range(48), range(60, 76), range(100, 140)


@pytest.fixture(scope="session")
def teacher(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a larger model with the same vocabulary, its head padded as those of larger variants often are."""
    folder = tmp_path_factory.mktemp("teacher")
    config = LlamaConfig.from_pretrained(tiny_model)
    config.update({"hidden_size": 48, "num_hidden_layers": 3, "vocab_size": config.vocab_size + 6})
    torch.manual_seed(2)
    LlamaForCausalLM(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    return folder


@pytest.fixture
def a_job(tmp_path: Path, tiny_model: Path, teacher: Path) -> JobMaker:
    """Function that describes a distillation."""

    def make(name: str = "job", **changes: object) -> JobFile:
        fields: dict[str, object] = {
            "base_model": tiny_model,
            "teacher_model": teacher,
            "objective": "distill",
            "train_file": write_cases(tmp_path / "train.jsonl", LEARNED, answered),
            "validation_file": write_cases(tmp_path / "validation.jsonl", WATCHED, answered),
        }
        return describe_job(tmp_path / name, **(fields | changes))

    return make


def divergence(teacher: Path, base: Path, adapter: Path | None) -> float:
    """KL divergence of the student's first answer tokens from the teacher's, on held-out prompts; nats."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    student = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if adapter is not None:
        student = PeftModel.from_pretrained(student, str(adapter))
    master = AutoModelForCausalLM.from_pretrained(teacher, dtype=torch.float32)
    total = 0.0
    for number in HELD_OUT:
        prompt = case(number)[0]
        ids = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        with torch.no_grad():
            taught = master(**ids).logits[0, -1, : len(tokenizer)].log_softmax(-1)
            predicted = student(**ids).logits[0, -1, : len(tokenizer)].log_softmax(-1)
        total += float((taught.exp() * (taught - predicted)).sum())
    return total / len(HELD_OUT)


def test_brings_the_student_nearer_to_the_teacher(a_job: JobMaker, tiny_model: Path, teacher: Path) -> None:
    job = a_job(hyperparameters=SETTINGS.model_copy(update={"num_epochs": 8, "lora_dropout": 0.0}))

    status, lines = run(job)

    assert status == 0
    steps, watched = of_kind(lines, Stepped), of_kind(lines, Evaluated)
    assert steps[-1].loss < steps[0].loss / 2
    assert watched[-1].eval_loss < watched[0].eval_loss
    assert steps[-1].perplexity is None
    assert divergence(teacher, tiny_model, job.output_dir) < divergence(teacher, tiny_model, None) / 2


def test_resumes_bit_for_bit(a_job: JobMaker) -> None:
    whole, parted = a_job("whole"), a_job("parted")
    run(whole)

    first_status, _ = run(parted, stop_after_step=8)
    second_status, second = run(parted)

    assert (first_status, second_status) == (EXIT_STOPPED, 0)
    assert of_kind(second, Started)[0].step == 9
    assert same_adapters(whole, parted)


class TestFailure:
    def test_of_a_missing_teacher_says_where_to_name_one(self, a_job: JobMaker) -> None:
        failed = self.failure_of(a_job(teacher_model=None))
        assert failed.code == "training.no-teacher"
        assert "hyperparameter teacher" in failed.advice

    def test_of_an_absent_teacher_names_the_folder(self, a_job: JobMaker, tmp_path: Path) -> None:
        failed = self.failure_of(a_job(teacher_model=tmp_path / "nowhere"))
        assert failed.code == "training.no-teacher"
        assert "nowhere" in failed.reason

    def test_of_a_teacher_with_another_vocabulary_says_what_to_do(
        self, a_job: JobMaker, teacher: Path, tmp_path: Path
    ) -> None:
        stranger = tmp_path / "stranger"
        AutoModelForCausalLM.from_pretrained(teacher).save_pretrained(stranger)
        tokenizer = AutoTokenizer.from_pretrained(teacher)
        tokenizer.add_tokens(["alarm"])
        tokenizer.save_pretrained(stranger)
        failed = self.failure_of(a_job(teacher_model=stranger))
        assert failed.code == "training.other-vocabulary"
        assert "same family" in failed.advice

    def failure_of(self, job: JobFile) -> Failed:
        status, lines = run(job)
        assert status == EXIT_FAILED
        assert isinstance(lines[-1], Failed)
        return lines[-1]
