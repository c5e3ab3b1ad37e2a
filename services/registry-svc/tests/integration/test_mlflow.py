"""MLflow as registry of record: registered once, files and lineage with it, aliases that follow our rows."""

import uuid

import pytest

from loopwright.errors import TrackingUnavailable
from registry_svc.adapters.mlflow import MlflowRegistry, Registration, TrackedVersion
from registry_svc.domain.models import VariantId
from registry_svc.handlers.deployments import put_in_charge
from registry_svc.jobs.reconciling import MlflowReconciler
from registry_svc.jobs.releases import ReleasePipeline
from registry_svc.store.deployments import get_deployment

pytestmark = pytest.mark.integration


def a_registration(name: str, subject: str) -> Registration:
    return Registration(
        name=name, subject=subject, run_id=None, reference={"kind": "lora"}, files=None, tags={}, description="",
    )  # fmt: skip


@pytest.fixture(params=["real", "in memory"])
def registry(request, memory_mlflow) -> MlflowRegistry:
    """The real one, and the one that other tests use in its place."""
    return MlflowRegistry(request.getfixturevalue("mlflow_uri")) if request.param == "real" else memory_mlflow


class TestPromises:
    async def test_a_subject_is_registered_once(self, registry):
        name = f"m-{uuid.uuid4().hex[:8]}"
        first = await registry.register(a_registration(name, "job:1"))
        second = await registry.register(a_registration(name, "job:2"))

        assert await registry.register(a_registration(name, "job:1")) == first
        assert (first.version, second.version) == (1, 2)
        assert first.run_id != second.run_id

    async def test_aliases_are_set_moved_and_deleted(self, registry):
        name = f"m-{uuid.uuid4().hex[:8]}"
        assert name not in (await registry.everything()).aliases
        for subject in ("job:1", "job:2"):
            await registry.register(a_registration(name, subject))
        assert (await registry.everything()).aliases[name] == {}
        await registry.set_alias(name, "staging", version=1)
        await registry.set_alias(name, "staging", version=2)
        await registry.set_alias(name, "production", version=1)
        assert (await registry.everything()).aliases[name] == {"staging": 2, "production": 1}
        await registry.delete_alias(name, "staging")
        assert (await registry.everything()).aliases[name] == {"production": 1}


class DyingAfterRegistration(MlflowRegistry):
    """Stands for a process that is killed after MLflow has answered and before our commit."""

    async def register(self, registration: Registration) -> TrackedVersion:
        await super().register(registration)
        raise KeyboardInterrupt


class TestKilled:
    async def test_between_mlflow_and_our_commit_makes_no_second_version(self, tracked_world, mlflow_uri):
        await tracked_world.declare_and_serve()
        event = await tracked_world.a_finished_job()
        await tracked_world.handle(event)
        dying = ReleasePipeline(
            tracked_world.means,
            mlflow=DyingAfterRegistration(mlflow_uri),
            evaluator=tracked_world.pipeline._evaluator,
        )
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                await dying.step()
        assert [row["state"] for row in await tracked_world.rows("releases")] == ["received"]

        await tracked_world.pipeline.step()
        found = tracked_world.mlflow._client.search_model_versions(f"name = '{tracked_world.task_id}'")
        assert [(version.version, version.tags["loopwright.job_id"]) for version in found] == [("1", event.job_id)]
        (row,) = [row for row in await tracked_world.rows("model_versions") if row["job_id"]]
        assert (row["version"], row["mlflow_version"]) == (1, 1)


class TestAliases:
    async def test_follow_the_status_of_versions(self, tracked_world, base_model):
        await tracked_world.declare_and_serve()
        await tracked_world.handle(await tracked_world.a_finished_job())
        await tracked_world.pipeline.step()
        await tracked_world.pipeline.step()
        await tracked_world.agreeing.step()
        assert (await tracked_world.mlflow.everything()).aliases[tracked_world.task_id] == {"staging": 1}

        async with tracked_world.work() as unit:
            before = await get_deployment(unit.session, tracked_world.task_id, lock=True)
            after = before.with_champion(VariantId(tracked_world.task_id, 1), before.backend_urls)
            await put_in_charge(before, after, unit, reason="test", by="test")
        await tracked_world.agreeing.step()
        assert (await tracked_world.mlflow.everything()).aliases[tracked_world.task_id] == {"production": 1}
        assert (await tracked_world.mlflow.everything()).aliases[base_model] == {"archived": 1}

    async def test_are_repaired_when_somebody_moved_them_and_foreign_ones_are_left_alone(self, tracked_world):
        await tracked_world.declare_and_serve()
        await tracked_world.handle(await tracked_world.a_finished_job())
        await tracked_world.pipeline.step()
        for alias in ("production", "theirs"):
            await tracked_world.mlflow.set_alias(tracked_world.task_id, alias, version=1)

        await tracked_world.agreeing.step()
        assert (await tracked_world.mlflow.everything()).aliases[tracked_world.task_id] == {"staging": 1, "theirs": 1}

    async def test_wait_for_mlflow(self, tracked_world, base_model):
        await tracked_world.declare_and_serve()
        with pytest.raises(TrackingUnavailable):
            await MlflowReconciler(
                tracked_world.work, mlflow=MlflowRegistry("http://127.0.0.1:1"), files=tracked_world.files,
                base_models={},
            ).step()  # fmt: skip
        await tracked_world.agreeing.step()
        assert (await tracked_world.mlflow.everything()).aliases[base_model] == {"production": 1}


class TestRegistration:
    async def test_the_version_holds_the_files_and_the_reference(self, tracked_world, base_model):
        await tracked_world.declare_and_serve()
        event = await tracked_world.a_finished_job()
        await tracked_world.handle(event)
        await tracked_world.pipeline.step()

        (version,) = tracked_world.mlflow._client.search_model_versions(f"name = '{tracked_world.task_id}'")
        files = {item.path for item in tracked_world.mlflow._client.list_artifacts(version.run_id, "model")}
        assert files == {"model/adapter_config.json", "model/adapter_model.safetensors", "model/reference.json"}
        assert version.source == f"runs:/{version.run_id}/model"
        assert version.tags["loopwright.adapter_sha256"] == event.adapter.sha256
        assert version.tags["loopwright.dataset_version_id"] == "d1v1"

    async def test_the_run_that_trained_it_is_kept(self, tracked_world):
        client = tracked_world.mlflow._client
        experiment = client.create_experiment(tracked_world.task_id)
        run_id = client.create_run(experiment).info.run_id
        await tracked_world.declare_and_serve()
        await tracked_world.handle(await tracked_world.a_finished_job(mlflow_run_id=run_id))
        await tracked_world.pipeline.step()

        (version,) = client.search_model_versions(f"name = '{tracked_world.task_id}'")
        assert version.run_id == run_id

    async def test_a_run_that_this_server_does_not_know_is_replaced_by_one_of_our_own(self, tracked_world):
        await tracked_world.declare_and_serve()
        await tracked_world.handle(await tracked_world.a_finished_job(mlflow_run_id="acba25512100f80b56fc3ccd14c65be5"))
        await tracked_world.pipeline.step()

        (version,) = tracked_world.mlflow._client.search_model_versions(f"name = '{tracked_world.task_id}'")
        assert version.run_id not in {"", "acba25512100f80b56fc3ccd14c65be5"}
