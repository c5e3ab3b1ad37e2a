"""Task packs: what is wrong with them, said so that it helps."""

import math
from pathlib import Path

import pytest
import yaml

from registry_svc.domain.packs import PackRefused, TaskPack, check_pack, parse_pack

BASE = "smollm2-135m-instruct"
SHIPPED = Path(__file__).parents[4] / "deploy/tasks"
GOOD = {
    "task_id": "mood",
    "title": "Mood",
    "base_model": BASE,
    "prompt": {"system": "", "user": "{input}"},
    "success_metric": {"name": "stars", "kind": "stars"},
}


def parse(**changes: object) -> TaskPack:
    return parse_pack(yaml.safe_dump(GOOD | changes), base_models={BASE})


def problems(**changes: object) -> dict[str, str]:
    with pytest.raises(PackRefused) as refused:
        parse(**changes)
    return {problem.field: problem.reason for problem in refused.value.problems}


class TestParsePack:
    def test_reads_a_pack_and_fills_in_defaults(self):
        pack = parse(gate={"min_cases": 7})

        assert pack.task_id == "mood"
        assert pack.gate.min_cases == 7
        assert pack.rollout.alpha == 0.05

    def test_reports_every_wrong_field_at_once(self):
        found = problems(title=None, gate={"min_accuracy_0_1": 2}, rollout={"alpha": "much"})

        assert set(found) == {"title", "gate.min_accuracy_0_1", "rollout.alpha"}
        assert "less than or equal to 1" in found["gate.min_accuracy_0_1"]

    def test_refuses_fields_that_nobody_knows_at_any_depth(self):
        found = problems(colour="red", training={"hyperparameters": {"lora_rnak": 8}})

        assert found == {
            "colour": "no such field",
            "training.hyperparameters.lora_rnak": "no such field; is lora_rank meant?",
        }

    def test_says_which_type_was_expected(self):
        found = problems(
            generation={"max_tokens": "many"}, prompt="hello", training={"method": "lorra"}, answer_schema=[]
        )

        assert "valid integer" in found["generation.max_tokens"]
        assert "valid dictionary" in found["prompt"]
        assert "'full', 'lora' or 'qlora'" in found["training.method"]
        assert "valid dictionary" in found["answer_schema"]

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"title": "a\0b"}, "title"),
            ({"answer_schema": {"title": "\ud800"}}, "answer_schema.title"),
            ({"answer_schema": {"enum": [1, "\0"]}}, "answer_schema.enum.1"),
            ({"answer_schema": {"\0": 1}}, "answer_schema.a field's name"),
            ({"answer_schema": {"const": math.nan}}, "answer_schema.const"),
        ],
    )
    def test_refuses_what_no_database_takes_at_any_depth(self, changes, field):
        with pytest.raises(PackRefused) as refused:
            check_pack(GOOD | changes, base_models={BASE})
        assert [problem.field for problem in refused.value.problems] == [field]

    def test_refuses_a_dialect_that_is_no_text(self):
        assert problems(answer_schema={"$schema": ["draft"]}) == {
            "answer_schema": "is not a JSON Schema: its $schema is no text",
        }

    def test_refuses_a_source_twice_and_times_that_never_come(self):
        logs = {"source": "log-batches", "options": {"aspect": "anomaly"}}
        assert parse(sources=[logs | {"collect": {"cron": "0 1 * * *", "time_zone": "Asia/Seoul"}}]).sources
        assert problems(sources=[logs, logs]) == {"sources": "names a source twice"}
        found = problems(sources=[logs | {"collect": {"cron": "0 25 * * *"}}], retraining={"schedule": {"cron": "now"}})
        assert "the hour 25 is not within 0-23" in found["sources.0.collect"]
        assert "a schedule has 5 fields, this one 1" in found["retraining.schedule"]

    def test_says_which_base_models_are_known(self):
        assert problems(base_model="gpt-9") == {
            "base_model": f"gpt-9 is not a known base model (known: {BASE})",
        }

    def test_says_where_yaml_breaks(self):
        with pytest.raises(PackRefused, match=r"pack: not YAML: .*line 2"):
            parse_pack("title: x\n  task_id: [", base_models={BASE})

    def test_refuses_what_is_no_mapping(self):
        with pytest.raises(PackRefused, match="must be a mapping"):
            parse_pack("- a\n- b", base_models={BASE})

    def test_refuses_an_answer_schema_that_is_none(self):
        assert "is not a JSON Schema" in problems(answer_schema={"type": "objekt"})["answer_schema"]

    def test_refuses_an_answer_field_that_the_schema_lacks(self):
        schema = {"type": "object", "properties": {"status": {}}}

        assert parse(answer_schema=schema, answer_field="status").answer_field == "status"
        assert set(problems(answer_schema=schema, answer_field="state")) == {"answer_field"}
        assert set(problems(answer_field="state")) == {"answer_field"}

    def test_refuses_a_template_without_the_input(self):
        assert "{input}" in problems(prompt={"system": "", "user": "hello"})["prompt.user"]

    def test_reads_what_is_looked_up_beside_a_question(self):
        pack = parse(retrieval={"collection": "cases", "timeout_s": 1})

        assert pack.retrieval is not None
        assert (pack.retrieval.collection, pack.retrieval.top_k, pack.retrieval.timeout_s) == ("cases", 4, 1)
        assert parse().retrieval is None

    @pytest.mark.parametrize("template", ["{passages}", "{question}", ""])
    def test_refuses_a_template_of_passages_that_lacks_a_place(self, template: str):
        assert "{passages}" in problems(retrieval={"collection": "cases", "template": template})["retrieval.template"]

    def test_refuses_shares_that_leave_nothing_to_train_on(self):
        found = problems(data_policy={"held_out_share_0_1": 0.6, "validation_share_0_1": 0.4})

        assert "nothing to train on" in found["data_policy"]

    def test_refuses_a_rollout_that_can_never_be_decided(self):
        assert "rollout.max_users" in problems(rollout={"min_users_per_arm": 50, "max_users": 60})

    def test_refuses_names_that_are_too_long_for_an_inference_id(self):
        assert parse(task_id="x" * 40).task_id
        assert "at most 40" in problems(task_id="x" * 41)["task_id"]

    def test_refuses_names_that_would_read_as_variants(self):
        assert "task_id" in problems(task_id="a:1")


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.name)
def test_every_pack_that_ships_is_accepted(path: Path):
    assert parse_pack(path.read_text(), base_models={BASE}).task_id == path.stem


def test_a_pack_ships_for_every_task_of_the_platform():
    assert {path.stem for path in SHIPPED.glob("*.yaml")} == {
        "chat", "incident-repair", "log-anomaly", "log-sentiment", "log-summary", "math-label", "service-desk",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("task_id", "fields"),
    [
        ("service-desk", {"category", "reply"}),
        ("log-anomaly", {"anomaly_status", "confidence", "detected_issues", "explanation"}),
        ("math-label", {"대분류", "중분류", "하위 분류"}),
    ],
)
def test_structured_answers_have_the_fields_that_clients_read(task_id: str, fields: set[str]):
    pack = parse_pack((SHIPPED / f"{task_id}.yaml").read_text(), base_models={BASE})
    assert pack.answer_schema is not None
    assert set(pack.answer_schema["properties"]) == fields
