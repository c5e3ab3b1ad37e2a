"""Every documented route, asked by schemathesis what its own schema allows and forbids."""

from pathlib import Path

import anyio
from pydantic import SecretStr
from trainer_world import BASE, MODELS, World, a_request, a_task, a_version

from loopwright.settings import CommonSettings
from loopwright.testing.openapi_probe import Probing, probe
from loopwright.testing.tokens import AUDIENCE, ISSUER, TokenMint
from trainer_svc.main import build
from trainer_svc.settings import Settings

JOBS = "/api/v1/admin/finetuning/jobs"


async def test_every_route_answers_as_its_openapi_says(world: World, tmp_path: Path) -> None:
    mint, jwks, folder = TokenMint(), anyio.Path(tmp_path / "jwks.json"), anyio.Path(tmp_path / "probe")
    await jwks.write_text(mint.jwks)
    await folder.mkdir()
    await world.hand(a_task(training={"auto": False}), a_version(), *(a_request(number) for number in range(1, 4)))
    common = CommonSettings(
        database_url=SecretStr(world.url), storage_uri=world.storage_uri, auth_jwks_file=Path(jwks),
        auth_issuer=ISSUER, auth_audience=AUDIENCE,
    )  # fmt: skip
    service = build(common, Settings(work_dir=world.work_dir, base_models=MODELS))
    known = {
        "path.job_id": [f"job-{number}" for number in range(1, 4)],
        "body.base_model": [BASE],
        "body.dataset_id": ["dsv-1"],
        "body.objective": ["sft"],
    }
    bodies = {("POST", JOBS): {"job_name": "by hand", "base_model": BASE, "dataset_id": "dsv-1"}}
    probing = Probing(token=mint.token("admin", ttl_s=600), known=known, bodies=bodies)
    report = await probe(service.app, probing, Path(folder))
    assert service.database is not None
    await service.database.close()
    assert not report.failures, report.failures
    assert report.never_asked == set()
    assert report.never_succeeded == {("GET", "/ready")}  # nothing runs behind this door
