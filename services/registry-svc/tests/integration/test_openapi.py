"""Every documented route, asked by schemathesis what its own schema allows and forbids."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from loopwright.contracts.base import Artifact
from loopwright.settings import CommonSettings
from loopwright.testing.openapi_probe import Probing, probe
from loopwright.testing.tokens import AUDIENCE, ISSUER, TokenMint
from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.benchmarks import Benchmark
from registry_svc.domain.models import NO_SETTINGS, VariantId
from registry_svc.domain.suites import CaseDraft
from registry_svc.handlers.benchmarks import BenchmarkWish, request_benchmarks
from registry_svc.handlers.registrations import FilesOffered, request_registration
from registry_svc.handlers.suites import NewSuite, create_suite
from registry_svc.main import build
from registry_svc.settings import Settings
from registry_svc.store.models import add_model, get_model

pytestmark = pytest.mark.integration
ADMIN = "/api/v1/admin"
# each changes the revision that the next one must name, so that chance decides which of them succeeds here; in
# `test_admin_api` all of them do
DECIDE_ON_A_REVISION = {
    ("POST", f"{ADMIN}/deployments/{{task_id}}/rollback"),
    *(
        ("POST", f"{ADMIN}/models/{{name}}/versions/{{version}}/{change}")
        for change in ("promote", "deploy", "undeploy")
    ),
}
CASE = {"input": "disk sda1 failed", "expected": {"status": "alert"}}


def bodies_for(world):
    declared = world.pack().model_dump(mode="json")
    decision = {"revision": 3, "reason": "users complain"}
    return {
        ("POST", f"{ADMIN}/tasks"): declared | {"task_id": "another"},
        ("POST", f"{ADMIN}/models"): {
            "task_id": world.task_id,
            "base_model": "x",
            "format": "gguf",
            "tags": ["a"],
            "artifact": {"uri": "file:///elsewhere", "sha256": "0" * 64, "size_bytes": 1},
        },
        ("PATCH", f"{ADMIN}/models/{{name}}/versions/{{version}}"): {"description": "better words", "tags": ["a"]},
        ("POST", f"{ADMIN}/models/{{name}}/versions/{{version}}/archive"): {"reason": "no longer wanted"},
        ("POST", f"{ADMIN}/models/{{name}}/versions/{{version}}/evaluate"): {"task_id": world.task_id},
        ("POST", f"{ADMIN}/models/{{name}}/versions/{{version}}/benchmarks"): {"benchmarks": ["kobest_copa"]},
        ("POST", f"{ADMIN}/suites"): {"name": "by-json", "task_id": world.task_id, "cases": [CASE]},
        ("POST", f"{ADMIN}/suites/{{name}}/versions"): {"cases": [CASE]},
        ("PUT", f"{ADMIN}/tasks/{{task_id}}"): declared | {"title": "Changed"},
        # one after the other, in the order of the doors: each decides on the revision that the one before made
        ("POST", f"{ADMIN}/models/{{name}}/versions/{{version}}/deploy"): decision | {"task_id": world.task_id},
        ("POST", f"{ADMIN}/models/{{name}}/versions/{{version}}/undeploy"): decision
        | {"revision": 4, "task_id": world.task_id},
        ("POST", f"{ADMIN}/deployments/{{task_id}}/rollback"): decision | {"revision": 5},
        ("POST", f"{ADMIN}/models/{{name}}/versions/{{version}}/promote"): decision
        | {"revision": 6, "task_id": world.task_id},
    }


async def a_suite(world, name: str) -> None:
    wanted = NewSuite(
        name=name, task_id=world.task_id, description="", drafts=[("case 1", CaseDraft.model_validate(CASE))], by="test"
    )
    async with world.work() as unit:
        await create_suite(wanted, unit, most_cases=200)


async def a_benchmark_run(base_model: str, world, settings: Settings) -> str:
    data_file = settings.benchmark_data_dir / "kobest/copa.jsonl"
    data_file.parent.mkdir(parents=True)
    data_file.touch()
    wish = BenchmarkWish(
        variant=VariantId(base_model, 1), benchmarks=("kobest_copa",), most_cases=None, shots=0, by="test"
    )
    catalogue = [Benchmark(name="kobest_copa", task_version="1.0", data_file="kobest/copa.jsonl", problem=None)]
    async with world.work() as unit:
        return await request_benchmarks(wish, unit, catalogue=catalogue)


async def a_whole_model(world, base_model: str) -> str:
    """Version 1 of a model that no server of a base model can serve."""
    name, artifact = f"{world.task_id}-whole", Artifact(uri="file:///elsewhere", sha256="0" * 64, size_bytes=1)
    async with world.work() as unit:
        base = await get_model(unit.session, VariantId(base_model, 1))
        whole = replace(base, variant=VariantId(name, 1), artifact=artifact, subject="registration:whole")
        await add_model(unit.session, whole)
    return name


async def a_registration(world) -> str:
    artifact = Artifact(uri="file:///elsewhere", sha256="0" * 64, size_bytes=1)
    offered = FilesOffered(
        name=world.task_id, task_id=world.task_id, base_model="x", format=ModelFormat.GGUF, artifact=artifact,
        settings=NO_SETTINGS, description="", tags=(), by="test",
    )  # fmt: skip
    async with world.work() as unit:
        return await request_registration(offered, unit, reserved=())


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
        tasks_dir=tmp_path, base_models={base_model: Path("/models/base")}, benchmark_data_dir=tmp_path / "data",
        prompt_likelihoods=True,
    )  # fmt: skip
    service = build(common, settings)
    run_id = await a_benchmark_run(base_model, world, settings)
    whole = await a_whole_model(world, base_model)
    known = {
        "path.task_id": [world.task_id],
        "path.name": [world.task_id, base_model, whole],
        "path.version": [1],
        "path.registration_id": [await a_registration(world)],
        "path.evaluation_id": [row["evaluation_id"] for row in await world.rows("evaluations")],
        "path.run_id": [run_id],
        "query.seen_version": [1, 2, 3],
        "query.task_id": [world.task_id],
        "query.name": ["imported"],
        "query.variant[*]": [f"{world.task_id}:1", f"{base_model}:1"],
        "body.task_id": [world.task_id],
        "body.base_model": [base_model],
        "body.revision": [3, 4, 5, 6, 7, 8],
    }
    for name in known["path.name"]:
        await a_suite(world, name)
    probing = Probing(
        token=mint.token("admin"), examples=16, known=known, bodies=bodies_for(world),
        own={("GET", f"{ADMIN}/models/{{name}}/versions/{{version}}/manifest"): {"path.name": whole}},
        spent_by=(r"/suites/\{name\}/archive$",), not_at_edges=("/import$",),
    )  # fmt: skip
    report = await probe(service.app, probing, folder)
    await service.database.close()
    await service.app.state.doorway.serving.servers.close()
    assert not report.failures, report.failures
    assert report.never_asked == set()
    assert report.never_succeeded - DECIDE_ON_A_REVISION == {("GET", "/ready")}  # nothing runs behind this door
