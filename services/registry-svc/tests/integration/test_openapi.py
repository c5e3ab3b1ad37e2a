"""Every documented route, asked by schemathesis what its own schema allows and forbids."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from loopwright.settings import CommonSettings
from loopwright.testing.openapi_probe import Probing, probe
from loopwright.testing.tokens import AUDIENCE, ISSUER, TokenMint
from registry_svc.main import build
from registry_svc.settings import Settings

pytestmark = pytest.mark.integration
ADMIN = "/api/v1/admin"


def bodies_for(world):
    declared = world.pack().model_dump(mode="json")
    decision = {"revision": 3, "reason": "users complain"}
    return {
        ("POST", f"{ADMIN}/tasks"): declared | {"task_id": "another"},
        ("PUT", f"{ADMIN}/tasks/{{task_id}}"): declared | {"title": "Changed"},
        ("POST", f"{ADMIN}/deployments/{{task_id}}/rollback"): decision,
        ("POST", f"{ADMIN}/models/{{name}}/versions/{{version}}/promote"): decision
        | {"revision": 4, "task_id": world.task_id},
    }


async def test_every_route_answers_as_its_openapi_says(promoted, base_model, storage_uri: str, tmp_path: Path):
    world = promoted
    mint, keys, folder = TokenMint(), tmp_path / "jwks.json", tmp_path / "probe"
    keys.write_text(mint.jwks)
    folder.mkdir()
    common = CommonSettings(
        database_url=SecretStr(world.database.url), storage_uri=storage_uri, mlflow_uri="http://127.0.0.1:1",
        auth_jwks_file=keys, auth_issuer=ISSUER, auth_audience=AUDIENCE,
    )  # fmt: skip
    settings = Settings(
        vllm_urls=(world.vllm.url, world.second_vllm.url), router_url=world.router.url, adapter_dir=world.folder,
        tasks_dir=tmp_path, base_models={base_model: Path("/models/base")},
    )  # fmt: skip
    service = build(common, settings)
    known = {
        "path.task_id": [world.task_id],
        "path.name": [world.task_id, base_model],
        "path.version": [1],
        "query.seen_version": [1, 2, 3],
        "body.task_id": [world.task_id],
        "body.base_model": [base_model],
        "body.revision": [3, 4, 5],
    }
    probing = Probing(token=mint.token("admin", ttl_s=600), known=known, bodies=bodies_for(world))
    report = await probe(service.app, probing, folder)
    await service.database.close()
    await service.app.state.doorway.serving.servers.close()
    assert not report.failures, report.failures
    assert report.never_asked == set()
    assert report.never_succeeded == {("GET", "/ready")}  # nothing runs behind this door
