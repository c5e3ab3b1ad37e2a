"""DPO from corrections and KTO from thumbs, on a tiny model: both teach what was preferred, and resume bit for bit."""

from pathlib import Path
from statistics import mean

import pytest
from alert_samples import answered, corrected, preferences, rated, write, write_cases
from recipe_runs import SETTINGS, WARNINGS, JobMaker, describe_job, of_kind, run, same_adapters

from trainer_svc.recipes.job_file import JobFile
from trainer_svc.recipes.progress import EXIT_FAILED, EXIT_STOPPED, Evaluated, Failed, Finished, Started, Stepped

pytestmark = WARNINGS
LEARNED, WATCHED, HELD_OUT = range(48), range(60, 76), range(100, 140)
RATES = {"lora": 0.02, "full": 0.003}
LINES = {"dpo": corrected, "kto": rated}


@pytest.fixture
def a_job(tmp_path: Path, tiny_model: Path) -> JobMaker:
    """Function that describes a job of an objective."""

    def make(objective: str, name: str = "job", **changes: object) -> JobFile:
        line = LINES[objective]
        fields: dict[str, object] = {
            "base_model": tiny_model,
            "objective": objective,
            "train_file": write_cases(tmp_path / "train.jsonl", LEARNED, line),
            "validation_file": write_cases(tmp_path / "validation.jsonl", WATCHED, line),
        }
        return describe_job(tmp_path / name, **(fields | changes))

    return make


def share_right(margins: list[float]) -> float:
    return mean(margin > 0 for margin in margins)


@pytest.mark.parametrize("method", ["lora", "full"])
class TestTrain:
    def test_dpo_prefers_what_corrections_chose(self, a_job: JobMaker, tiny_model: Path, method: str) -> None:
        settings = SETTINGS.model_copy(update={"num_epochs": 8, "learning_rate": RATES[method]})
        job = a_job("dpo", method=method, hyperparameters=settings)

        status, lines = run(job)

        assert status == 0
        steps, watched = of_kind(lines, Stepped), of_kind(lines, Evaluated)
        assert mean(line.loss for line in steps[-12:]) < mean(line.loss for line in steps[:12]) / 2
        assert watched[-1].eval_loss < watched[0].eval_loss
        assert watched[-1].reward_accuracy is not None
        assert watched[-1].reward_accuracy >= 0.9
        assert steps[-1].perplexity is None
        before = preferences(tiny_model, None, HELD_OUT)
        after = (
            preferences(tiny_model, job.output_dir, HELD_OUT)
            if method == "lora"
            else preferences(job.output_dir, None, HELD_OUT)
        )
        assert share_right(after) >= share_right(before) + 0.4

    def test_kto_makes_liked_answers_likelier_than_disliked_ones(
        self, a_job: JobMaker, tiny_model: Path, method: str
    ) -> None:
        settings = SETTINGS.model_copy(update={"num_epochs": 8, "learning_rate": RATES[method]})
        job = a_job("kto", method=method, hyperparameters=settings)

        status, lines = run(job)

        assert status == 0
        watched = of_kind(lines, Evaluated)
        assert watched[-1].eval_loss < watched[0].eval_loss
        assert watched[-1].reward_margin is not None
        assert watched[-1].reward_margin > 0
        before = preferences(tiny_model, None, HELD_OUT)
        after = (
            preferences(tiny_model, job.output_dir, HELD_OUT)
            if method == "lora"
            else preferences(job.output_dir, None, HELD_OUT)
        )
        assert mean(after) > mean(before) + 1
        assert share_right(after) >= share_right(before) + 0.4


@pytest.mark.parametrize("objective", ["dpo", "kto"])
class TestResume:
    def test_gives_bit_for_bit_what_an_uninterrupted_run_gives(self, a_job: JobMaker, objective: str) -> None:
        whole, parted = a_job(objective, "whole"), a_job(objective, "parted")
        _, told = run(whole)

        first_status, first = run(parted, stop_after_step=8)
        second_status, second = run(parted, stop_after_step=23)  # stops at 24, the end of an epoch
        third_status, third = run(parted)

        assert (first_status, second_status, third_status) == (EXIT_STOPPED, EXIT_STOPPED, 0)
        assert [of_kind(lines, Started)[0].step for lines in (first, second, third)] == [0, 9, 24]
        assert same_adapters(whole, parted)
        parts = [*first, *second, *third]
        assert {line.step: line.loss for line in of_kind(parts, Stepped)} == {
            line.step: line.loss for line in of_kind(told, Stepped)
        }
        assert {line.step: line.eval_loss for line in of_kind(parts, Evaluated)} == {
            line.step: line.eval_loss for line in of_kind(told, Evaluated)
        }
        assert of_kind(third, Finished)[0].eval_loss == of_kind(told, Finished)[0].eval_loss


class TestRows:
    @pytest.mark.parametrize("objective", ["dpo", "kto"])
    def test_of_no_use_are_left_out_and_counted(self, a_job: JobMaker, tmp_path: Path, objective: str) -> None:
        lines = [LINES[objective](number) for number in range(8)]
        mixed = write(tmp_path / "mixed.jsonl", [*lines, *(answered(number) for number in range(10, 15))])
        settings = SETTINGS.model_copy(update={"num_epochs": 1})
        status, said = run(a_job(objective, train_file=mixed, hyperparameters=settings))
        assert status == 0
        started = of_kind(said, Started)[0]
        assert (started.train_samples, started.left_out_samples) == (8, 5)

    @pytest.mark.parametrize(("objective", "code"), [("dpo", "training.no-pairs"), ("kto", "training.no-thumbs")])
    def test_of_no_use_alone_teach_nothing(self, a_job: JobMaker, tmp_path: Path, objective: str, code: str) -> None:
        file = write_cases(tmp_path / "answers.jsonl", range(8), answered)
        assert self.failure_of(a_job(objective, train_file=file)).code == code

    @pytest.mark.parametrize("liked", [True, False])
    def test_kto_needs_thumbs_of_both_kinds(self, a_job: JobMaker, tmp_path: Path, liked: bool) -> None:  # noqa: FBT001
        file = write(tmp_path / "one.jsonl", (answered(number) | {"thumb": liked} for number in range(8)))
        failed = self.failure_of(a_job("kto", train_file=file))
        assert failed.code == "training.one-sided-thumbs"
        assert ("all 8 thumbs are up" if liked else "all 8 thumbs are down") in failed.reason

    def test_kto_needs_more_than_one_answer_in_a_batch(self, a_job: JobMaker) -> None:
        failed = self.failure_of(a_job("kto", hyperparameters=SETTINGS.model_copy(update={"batch_size": 1})))
        assert failed.code == "training.batch-too-small"

    @pytest.mark.parametrize("objective", ["dpo", "kto"])
    def test_are_never_packed(self, a_job: JobMaker, objective: str) -> None:
        failed = self.failure_of(a_job(objective, hyperparameters=SETTINGS.model_copy(update={"packing": True})))
        assert failed.code == "training.packing-unsupported"

    @pytest.mark.parametrize("objective", ["dpo", "kto"])
    def test_that_are_too_long_alone_teach_nothing(self, a_job: JobMaker, objective: str) -> None:
        failed = self.failure_of(a_job(objective, hyperparameters=SETTINGS.model_copy(update={"max_seq_length": 16})))
        assert failed.code == "training.no-data"
        assert "16 tokens" in failed.reason

    def failure_of(self, job: JobFile) -> Failed:
        status, lines = run(job)
        assert status == EXIT_FAILED
        assert isinstance(lines[-1], Failed)
        return lines[-1]
