"""Every documented route, asked by schemathesis what its own schema allows and forbids."""

from pathlib import Path

import anyio
from trainer_world import BASE, World, a_request, a_task, a_version

from loopwright.service import Service
from loopwright.testing.openapi_probe import Probing, probe
from loopwright.testing.tokens import TokenMint

JOBS = "/api/v1/admin/finetuning/jobs"


async def test_every_route_answers_as_its_openapi_says(
    world: World, service: Service, mint: TokenMint, tmp_path: Path
) -> None:
    folder = anyio.Path(tmp_path / "probe")
    await folder.mkdir()
    await world.hand(a_task(training={"auto": False}), a_version(), *(a_request(number) for number in range(1, 4)))
    known = {
        "path.job_id": [f"job-{number}" for number in range(1, 4)],
        "body.base_model": [BASE],
        "body.dataset_id": ["dsv-1"],
        "body.objective": ["sft"],
    }
    bodies = {("POST", JOBS): {"job_name": "by hand", "base_model": BASE, "dataset_id": "dsv-1"}}
    probing = Probing(token=mint.token("admin", ttl_s=600), known=known, bodies=bodies)
    report = await probe(service.app, probing, Path(folder))
    assert not report.failures, report.failures
    assert report.never_asked == set()
    assert report.never_succeeded == {("GET", "/ready")}  # nothing runs behind this door
