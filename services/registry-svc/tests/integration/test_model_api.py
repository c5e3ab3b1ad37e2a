"""Model versions through the door: registered from files, described, listed, taken away and archived, with all of it on record."""

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import sqlalchemy as sa
from pydantic import SecretStr

from loopwright.contracts.registry import MODEL_REGISTERED
from loopwright.pages import Window
from loopwright.settings import CommonSettings
from loopwright.testing.tokens import AUDIENCE, ISSUER, TokenMint
from registry_svc.domain.listing import ModelFilter
from registry_svc.main import build
from registry_svc.queries.models import list_models
from registry_svc.settings import Settings

pytestmark = pytest.mark.integration
MINT = TokenMint()
ADMIN = "/api/v1/admin"
WHOLE = {"config.json": b"{}", "model.safetensors": b"\1\2"}


@pytest_asyncio.fixture(loop_scope="session")
async def client(world, base_model, tmp_path: Path, storage_uri: str) -> AsyncGenerator[httpx.AsyncClient]:
    """The real app, asked by an admin, without its background loops."""
    keys = tmp_path / "jwks.json"
    keys.write_text(MINT.jwks)
    common = CommonSettings(
        database_url=SecretStr(world.database.url), storage_uri=storage_uri, mlflow_uri="http://127.0.0.1:1",
        auth_jwks_file=keys, auth_issuer=ISSUER, auth_audience=AUDIENCE,
    )  # fmt: skip
    settings = Settings(
        vllm_urls=(world.vllm.url, world.second_vllm.url), router_url=world.router.url, adapter_dir=world.folder,
        tasks_dir=tmp_path, base_models={base_model: Path("/models/base")}, max_upload_bytes=20_000,
    )  # fmt: skip
    service = build(common, settings)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(service.app), base_url=f"http://registry{ADMIN}", headers=MINT.header("admin")
    ) as client:
        yield client
    assert service.database is not None
    await service.database.close()
    await service.app.state.doorway.serving.servers.close()


async def register(client, world, files: dict[str, bytes], **changes) -> dict[str, object]:
    """Uploads files and registers them, as a person would; the answer when it is done."""
    uploaded = await client.post("/model-files", content=world.tar(files))
    assert uploaded.status_code == 201, uploaded.text
    body = {
        "task_id": world.task_id, "base_model": "tiny-base", "format": "huggingface", "artifact": uploaded.json(),
    }  # fmt: skip
    asked = await client.post("/models", json=body | changes)
    assert asked.status_code == 202, asked.text
    while await world.registrar.step():
        pass
    return (await client.get(f"/registrations/{asked.json()['registration_id']}")).json()


class TestRegistration:
    @pytest.mark.parametrize(
        ("model_format", "files"),
        [
            ("huggingface", WHOLE),
            ("awq", WHOLE),
            ("gptq", WHOLE),
            ("gguf", {"model-q4.gguf": b"GGUF"}),
            ("lora", {"adapter_config.json": b"{}", "adapter_model.safetensors": b"\3"}),
        ],
    )
    async def test_files_become_a_version_in_staging_with_all_that_was_said_of_them(
        self, client, world, model_format, files
    ):
        await world.declare_and_serve()
        done = await register(
            client, world, files, format=model_format, name="imported", description="from elsewhere", tags=["a", "b"],
            settings={"max_model_len": 512},
        )  # fmt: skip
        assert (done["state"], done["variant_id"], done["reason"]) == ("registered", "imported:1", None)

        model = (await client.get("/models/imported/versions/1")).json()
        assert (model["status"], model["format"], model["task_id"]) == ("staging", model_format, world.task_id)
        assert (model["tags"], model["description"], model["created_by"]) == (["a", "b"], "from elsewhere", "somebody")
        assert model["artifact"]["size_bytes"] == len(world.tar(files))
        assert model["settings"]["max_model_len"] == 512
        assert model["proof"]["signature"] == "unchecked"
        said = (await world.announced(MODEL_REGISTERED))[-1]
        assert (said.model_name, said.format, said.job_id) == ("imported", model_format, None)
        assert await world.rows("releases") == []

    @pytest.mark.parametrize(
        ("files", "changes", "reason"),
        [
            ({"config.json": b"{}"}, {}, "lacks *.safetensors"),
            (WHOLE, {"format": "lora"}, "lacks adapter_config.json"),
            (WHOLE, {"format": "gguf"}, "lacks *.gguf"),
        ],
    )
    async def test_files_of_another_format_are_refused_for_good(self, client, world, files, changes, reason):
        await world.declare_and_serve()
        done = await register(client, world, files, **changes)
        assert (done["state"], done["variant_id"]) == ("refused", None)
        assert reason in str(done["reason"])
        assert [path for path in world.folder.iterdir() if not path.name.startswith(".")] == []

    async def test_what_is_no_tar_or_too_long_or_elsewhere_or_under_another_s_name_is_refused(self, client, world):
        await world.declare_and_serve()
        content = {"content": b"no tar", "headers": {}}
        artifact = (await client.post("/model-files", **content)).json()
        body = {"task_id": world.task_id, "base_model": "x", "format": "gguf", "artifact": artifact}
        for changes in (
            {},
            {"artifact": artifact | {"size_bytes": 7}},
            {"artifact": artifact | {"uri": "file:///etc"}},
        ):
            await client.post("/models", json=body | changes)
            await world.registrar.step()
        states = [one["state"] for one in (await client.get("/registrations")).json()["items"]]
        assert states == ["refused"] * 3

        too_long = await client.post("/model-files", content=bytes(20_001))
        assert (too_long.status_code, too_long.json()["code"]) == (413, "model.upload-too-large")
        assert [path for path in world.folder.iterdir() if path.name.startswith(".upload")] == []
        reserved = await client.post("/models", json=body | {"name": "tiny-base"})
        assert (reserved.status_code, reserved.json()["code"]) == (409, "model.name-reserved")
        assert (await client.post("/models", json=body | {"task_id": "none"})).status_code == 404
        for hostile in ({"artifact": artifact | {"uri": "a\0"}}, {"tags": ["a b"]}, {"description": "\0"}):
            assert (await client.post("/models", json=body | hostile)).status_code == 422

    async def test_a_killed_registration_is_done_again_and_once(self, client, world, monkeypatch):
        await world.declare_and_serve()
        real = world.mlflow.register

        async def register_and_die(registration: object) -> object:
            await real(registration)
            raise KeyboardInterrupt

        monkeypatch.setattr(world.mlflow, "register", register_and_die)
        with pytest.raises(KeyboardInterrupt):
            await register(client, world, WHOLE)
        monkeypatch.undo()
        assert await world.registrar.step()
        assert not await world.registrar.step()
        versions = (await client.get(f"/models/{world.task_id}/versions")).json()["items"]
        assert [one["version"] for one in versions] == [1]
        assert (await world.agreeing.differences()).findings == ()


class TestProductsOfJobs:
    @pytest.mark.parametrize(
        ("kind", "files", "made"),
        [("merge", WHOLE, "huggingface"), ("gguf", {"m.gguf": b"1"}, "gguf"), ("awq", WHOLE, "awq")],
    )
    async def test_become_versions_with_format_and_parent_and_enter_no_release(self, world, kind, files, made):
        await world.declare_and_serve()
        trained = await world.a_finished_job()
        await world.handle(trained)
        await world.pipeline.step()
        card = f'{{"job_id": "job-2", "kind": "{kind}", "base_model": "b", "source_job": "{trained.job_id}"}}'
        product = await world.storage.put_bytes(
            world.tar(files | {"card.json": card.encode()}),
            kind="products",
            suffix=".tar",
            media_type="application/x-tar",
        )
        event = await world.a_finished_job(
            job_id="job-2", kind=kind, adapter=None, product=product.model_dump(mode="json")
        )
        await world.handle(event)
        await world.handle(event, offset=1)
        while await world.registrar.step():
            pass

        (row,) = [row for row in await world.rows("model_versions") if row["job_id"] == "job-2"]
        assert (row["format"], row["parent"], row["status"]) == (made, f"{world.task_id}:1", "staging")
        assert (row["version"], row["dataset_version_id"]) == (2, "d1v1")
        assert [release["job_id"] for release in await world.rows("releases")] == [trained.job_id]

    async def test_a_failed_one_is_nothing(self, world):
        await world.declare()
        await world.handle(await world.a_finished_job(kind="merge", adapter=None, state="failed", reason="no memory"))
        assert await world.rows("registrations") == []


class TestWordsAndUses:
    async def test_every_use_is_on_record_with_who_when_and_why(self, client, world):
        await world.declare_and_serve()
        await register(client, world, WHOLE)
        url = f"/models/{world.task_id}/versions/1"
        changed = await client.patch(url, json={"description": "better words", "tags": ["x", "x"]})
        assert (changed.json()["description"], changed.json()["tags"]) == ("better words", ["x"])
        taken = await client.get(f"{url}/download")
        assert taken.status_code == 200
        assert taken.content == world.tar(WHOLE)
        archived = await client.post(f"{url}/archive", json={"reason": "no longer wanted"})
        assert archived.json()["status"] == "archived"

        uses = (await client.get(f"{url}/uses")).json()["items"]
        assert [(use["kind"], use["by"]) for use in uses] == [
            ("status_changed", "somebody"), ("downloaded", "somebody"), ("described", "somebody"),
            ("registered", "somebody"),
        ]  # fmt: skip
        assert (uses[0]["status"], uses[0]["reason"]) == ("archived", "no longer wanted")

    async def test_deployments_promotions_and_rollbacks_are_in_it(self, client, promoted, base_model):
        answer = await client.post(
            f"/deployments/{promoted.task_id}/rollback", json={"revision": 3, "reason": "users complain"}
        )
        assert answer.status_code == 200, answer.text

        uses = (await client.get(f"/models/{promoted.task_id}/versions/1/uses")).json()["items"]
        assert {"registered", "deployed", "promoted", "withdrawn"} <= {use["kind"] for use in uses}
        back = (await client.get(f"/models/{base_model}/versions/1/uses")).json()["items"]
        (again,) = [use for use in back if use["kind"] == "rolled_back_to"]
        assert (again["reason"], again["by"], again["task_id"]) == ("users complain", "somebody", promoted.task_id)

    async def test_what_is_deployed_cannot_be_archived_and_a_base_model_has_no_files(
        self, client, promoted, base_model
    ):
        refused = await client.post(f"/models/{promoted.task_id}/versions/1/archive", json={"reason": "x"})
        assert (refused.status_code, refused.json()["code"]) == (409, "model.in-use")
        none = await client.get(f"/models/{base_model}/versions/1/download")
        assert (none.status_code, none.json()["code"]) == (409, "model.no-files")
        for path in ("uses", "card", "card.md", "lineage", "download"):
            assert (await client.get(f"/models/nothing/versions/1/{path}")).status_code == 404

    async def test_files_that_storage_lost_are_said_before_anything_is_sent(self, client, world):
        await world.declare_and_serve()
        await register(client, world, WHOLE)
        artifact = (await client.get(f"/models/{world.task_id}/versions/1")).json()["artifact"]
        await world.storage.delete(artifact["uri"])
        assert (await client.get(f"/models/{world.task_id}/versions/1/download")).status_code == 503


class TestListsCardsAndLineage:
    async def test_lists_are_by_name_status_format_and_tags(self, client, world, base_model):
        await world.declare_and_serve()
        await register(client, world, WHOLE, name="one", tags=["a", "b"])
        await register(client, world, WHOLE | {"x": b""}, name="two", tags=["b"])

        async def listed(**wanted: object) -> list[str]:
            page = (await client.get("/models", params=wanted)).json()
            return [one["variant_id"] for one in page["items"]]

        assert await listed(tag=["a", "b"]) == ["one:1"]
        assert await listed(tag="b", name="two") == ["two:1"]
        assert await listed(status="production") == [f"{base_model}:1"]
        assert await listed(format="lora") == []
        beyond = (await client.get("/models?offset=7")).json()
        assert (beyond["items"], beyond["total"]) == ([], 3)

    async def test_a_page_of_versions_with_their_evaluations_is_one_query(self, promoted):
        asked: list[str] = []
        engine = promoted.database.engine.sync_engine
        sa.event.listen(engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
        async with promoted.work() as unit:
            page = await list_models(unit, ModelFilter(), Window(limit=100, offset=0))
        assert len([text for text in asked if "model_versions" in text or "evaluations" in text]) == 1
        (evaluation,) = page.items[0].evaluations
        assert (evaluation.passed, evaluation.accuracy_0_1, evaluation.cases) == (True, 1.0, 8)
        assert (page.total, page.items[1].evaluations) == (2, ())

    async def test_the_card_holds_data_figures_with_intervals_and_limits(self, client, promoted):
        url = f"/models/{promoted.task_id}/versions/1"
        card = (await client.get(f"{url}/card")).json()
        assert (card["data"]["version_id"], card["data"]["held_out_cases"]) == ("d1v1", 8)
        accuracy = next(one for one in card["evaluations"][0]["metrics"] if one["name"] == "accuracy")
        assert accuracy["lower"] < accuracy["value"] == 1.0
        assert any("licence" in limit for limit in card["limits"])
        told = await client.get(f"{url}/card.md")
        assert told.headers["content-type"].startswith("text/markdown")
        assert f"# {promoted.task_id}:1" in told.text
        assert "| accuracy | 1 | " in told.text

    async def test_the_graph_leads_from_samples_to_charge(self, client, promoted, base_model):
        lineage = (await client.get(f"/models/{promoted.task_id}/versions/1/lineage")).json()
        kinds = {node["node_id"]: node["kind"] for node in lineage["nodes"]}
        onwards: dict[str, list[str]] = {}
        for edge in lineage["edges"]:
            assert {edge["source"], edge["target"]} <= kinds.keys()
            onwards.setdefault(edge["source"], []).append(edge["target"])
        reached, open_nodes = set(), ["samples:d1v1"]
        while open_nodes:
            reached.add(node := open_nodes.pop())
            open_nodes += [one for one in onwards.get(node, []) if one not in reached]
        assert {kinds[node] for node in reached} == {
            "samples", "dataset_version", "job", "model_version", "alias", "evaluation", "experiment", "deployment",
        }  # fmt: skip
        assert f"alias:{promoted.task_id}@production" in reached
        assert f"model_version:{base_model}:1" in kinds
