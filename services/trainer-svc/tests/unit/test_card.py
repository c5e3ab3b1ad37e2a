"""The model card: the facts of the job, in both forms, and no words of anybody else."""

from pathlib import Path

import pytest
import yaml

from loopwright.contracts.jobs import JobKind
from loopwright.contracts.tasks import Hyperparameters
from trainer_svc.recipes.card import CARD_FILE, CardFacts, facts_of, license_of, read_card, write_card
from trainer_svc.recipes.job_file import JobFile


def a_job(tmp_path: Path, **changes: object) -> JobFile:
    base = tmp_path / "tiny-base"
    base.mkdir(exist_ok=True)
    fields: dict[str, object] = {
        "job_id": "job-1",
        "base_model": base,
        "train_file": tmp_path / "train.jsonl",
        "checkpoint_dir": tmp_path / "checkpoints",
        "output_dir": tmp_path / "adapter",
        "dataset_version": "v-7",
        "hyperparameters": Hyperparameters(lora_rank=4),
    }
    return JobFile.model_validate(fields | changes)


def front_matter(folder: Path) -> dict[str, object]:
    _, front, _ = (folder / "README.md").read_text().split("---\n", 2)
    found = yaml.safe_load(front)
    assert isinstance(found, dict)
    return found


class TestCard:
    def test_says_in_both_forms_what_the_job_knows(self, tmp_path: Path) -> None:
        facts = facts_of(a_job(tmp_path)).model_copy(update={"steps": 21, "eval_loss": 0.25, "train_samples": 26})
        write_card(tmp_path, facts)
        assert read_card(tmp_path) == facts
        text = (tmp_path / "README.md").read_text()
        for row in ("| dataset_version | v-7 |", "| lora_rank | 4 |", "| steps | 21 |", "| eval_loss | 0.25 |"):
            assert row in text
        assert front_matter(tmp_path) == {
            "base_model": "tiny-base", "library_name": "peft", "pipeline_tag": "text-generation",
            "tags": ["train", "lora", "sft"],
        }  # fmt: skip

    def test_leaves_out_what_is_not_known_and_says_so_where_it_matters(self, tmp_path: Path) -> None:
        write_card(tmp_path, facts_of(a_job(tmp_path, dataset_version=None)))
        text = (tmp_path / "README.md").read_text()
        assert "None" not in text
        assert "null" not in text
        assert "dataset_version" not in text
        assert "No loss on unseen samples was measured." in text
        assert "states no licence" in text

    def test_of_a_product_tells_of_the_adapter_that_it_was_made_of(self, tmp_path: Path) -> None:
        adapter = tmp_path / "adapter"
        adapter.mkdir()
        write_card(adapter, facts_of(a_job(tmp_path)))
        merged = facts_of(
            a_job(tmp_path, job_id="job-2", kind=JobKind.MERGE, source_adapter=adapter, dataset_version=None)
        )
        assert (merged.source_job, merged.dataset_version, merged.method) == ("job-1", "v-7", "lora")
        assert merged.hyperparameters is None
        write_card(tmp_path, merged)
        assert front_matter(tmp_path)["library_name"] == "transformers"

    def test_keeps_hostile_names_within_their_cell(self, tmp_path: Path) -> None:
        name = "v-1 |\n\n# Free weights <script>`"
        write_card(tmp_path, facts_of(a_job(tmp_path, dataset_version=name)))
        text = (tmp_path / "README.md").read_text()
        assert "\n# Free" not in text
        assert "<script>" not in text
        assert "| dataset_version | v-1 \\| # Free weights &lt;script>' |" in text

    def test_replaces_the_card_that_a_library_wrote(self, tmp_path: Path) -> None:
        (tmp_path / "README.md").write_text("[More Information Needed]")
        write_card(tmp_path, facts_of(a_job(tmp_path)))
        assert "More Information" not in (tmp_path / "README.md").read_text()

    @pytest.mark.parametrize("content", ["", "{", '{"job_id": 3}'])
    def test_that_cannot_be_read_is_none(self, tmp_path: Path, content: str) -> None:
        (tmp_path / CARD_FILE).write_text(content)
        assert read_card(tmp_path) is None


class TestLicense:
    @pytest.mark.parametrize(
        ("card", "found"),
        [
            ("---\nlicense: apache-2.0\nlanguage: en\n---\n# Model", "apache-2.0"),
            ("---\nlanguage: en\n---\nlicense: mit", None),
            ("license: mit\n---\n", None),
            ("---\nlicense: [a, b]\n---\n", None),
            ("---\n: : :\n---\n", None),
            ("---\nlicense: mit", None),
            ("", None),
        ],
    )
    def test_is_what_the_front_matter_states(self, tmp_path: Path, card: str, found: str | None) -> None:
        (tmp_path / "README.md").write_text(card)
        assert license_of(tmp_path) == found

    def test_of_a_folder_without_card_is_unknown(self, tmp_path: Path) -> None:
        assert license_of(tmp_path) is None

    def test_is_passed_on(self, tmp_path: Path) -> None:
        job = a_job(tmp_path)
        (job.base_model / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
        write_card(tmp_path, facts_of(job))
        assert front_matter(tmp_path)["license"] == "apache-2.0"
        assert "states no licence" not in (tmp_path / "README.md").read_text()


def test_facts_survive_their_file(tmp_path: Path) -> None:
    facts = facts_of(a_job(tmp_path))
    assert CardFacts.model_validate_json(facts.model_dump_json()) == facts
