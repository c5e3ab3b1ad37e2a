import json
from pathlib import Path

import pytest

from loopwright_local.errors import LocalError
from loopwright_local.part import Part
from loopwright_local.plan import Plan, plan_stack
from loopwright_local.settings import SERVICES, LocalSettings

EXISTING = {
    "database_url": "postgresql+asyncpg://someone:secret@db:5432/loop",
    "kafka_bootstrap": "kafka:9092",
    "mlflow_uri": "http://mlflow:5000",
    "vllm_urls": ("http://gpu-1:8000", "http://gpu-2:8000"),
}


def a_plan(folder: Path, **changes: object) -> Plan:
    return plan_stack(LocalSettings(dir=folder).model_copy(update=EXISTING | changes))


def part_named(plan: Plan, name: str) -> Part:
    return next(part for part in plan.parts if part.name == name)


class TestPlan:
    def test_points_services_at_servers_that_exist_already(self, tmp_path: Path) -> None:
        plan = a_plan(tmp_path)
        assert {part.name for part in plan.parts} == {"migrations", "topics", *SERVICES}
        registry = part_named(plan, "registry").env
        assert registry["LOOPWRIGHT_KAFKA_BOOTSTRAP"] == "kafka:9092"
        assert registry["LOOPWRIGHT_DATABASE_URL"] == EXISTING["database_url"]
        assert registry["LOOPWRIGHT_MLFLOW_URI"] == "http://mlflow:5000"
        assert json.loads(registry["REGISTRY_VLLM_URLS"]) == ["http://gpu-1:8000", "http://gpu-2:8000"]

    def test_starts_services_after_tables_and_topics(self, tmp_path: Path) -> None:
        plan = a_plan(tmp_path)
        assert all(set(part_named(plan, name).needs) == {"migrations", "topics"} for name in SERVICES)

    def test_gives_mlflow_a_database_of_its_own_and_keeps_the_password_off_the_command_line(
        self, tmp_path: Path
    ) -> None:
        mlflow = part_named(a_plan(tmp_path, mlflow_uri=None), "mlflow")
        assert mlflow.env["MLFLOW_BACKEND_STORE_URI"] == "postgresql+psycopg://someone:secret@db:5432/mlflow"
        assert not any("secret" in word for word in mlflow.command)

    def test_gives_commands_the_same_surroundings_as_services(self, tmp_path: Path) -> None:
        plan = a_plan(tmp_path)
        assert plan.env.items() <= part_named(plan, "feedback").env.items()

    def test_adds_what_a_test_wants_services_to_know(self, tmp_path: Path) -> None:
        plan = a_plan(tmp_path, service_env={"FEEDBACK_MIN_RATINGS": "5"})
        assert part_named(plan, "feedback").env["FEEDBACK_MIN_RATINGS"] == "5"

    def test_refuses_to_leave_out_what_does_not_exist(self, tmp_path: Path) -> None:
        with pytest.raises(LocalError, match="LOCAL_WITHOUT names parts that do not exist: kafak"):
            a_plan(tmp_path, without=frozenset({"kafak"}))

    def test_makes_keys_once(self, tmp_path: Path) -> None:
        first = a_plan(tmp_path).keys.private.read_bytes()
        assert a_plan(tmp_path).keys.private.read_bytes() == first
