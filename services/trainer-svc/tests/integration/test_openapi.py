"""Every documented route, asked by schemathesis what its own schema allows and forbids."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest
from pydantic import JsonValue
from trainer_world import BASE, TASK, World, a_request, a_task, a_version

from loopwright.contracts.base import RunState
from loopwright.contracts.tasks import Hyperparameters
from loopwright.service import Service
from loopwright.testing.openapi_probe import Probing, probe
from loopwright.testing.tokens import TokenMint
from trainer_svc.domain.jobs import Lease
from trainer_svc.domain.search_space import SearchSpace
from trainer_svc.domain.studies import Study, StudyTerms, Trial, TrialEnd, TrialState
from trainer_svc.store import jobs, studies

JOBS, STUDIES = "/api/v1/admin/finetuning/jobs", "/api/v1/admin/finetuning/studies"
SPACE: JsonValue = {"learning_rate": {"low": 0.001, "high": 0.1}}
pytestmark = pytest.mark.timeout(400)


async def test_every_route_answers_as_its_openapi_says(
    world: World, service: Service, mint: TokenMint, tmp_path: Path
) -> None:
    folder = anyio.Path(tmp_path / "probe")
    await folder.mkdir()
    version = a_version(validation=a_version().train.model_dump(mode="json"))
    await world.hand(a_task(training={"auto": False}), version, *(a_request(number) for number in range(1, 60)))
    for number in range(20, 60):
        await stop_after_checkpoint(world, number)
    known = {
        "path.job_id": [f"job-{number}" for number in range(1, 60)],  # many: some will be deleted
        "body.base_model": [BASE],
        "body.dataset_id": ["dsv-1"],
        "body.objective": ["sft"],
        "path.study_id": [await a_study(world, number) for number in range(30)],
    }
    body = {"job_name": "by hand", "base_model": BASE, "dataset_id": "dsv-1"}
    study = {"name": "rates", "base_model": BASE, "dataset_id": "dsv-1", "space": SPACE}
    bodies = {("POST", JOBS): body, ("POST", f"{JOBS}/estimate"): body, ("POST", STUDIES): study}
    probing = Probing(
        token=mint.token("admin"), known=known, bodies=bodies,
        spent_by=("/stop$", "/resume$", "/promote$", "/jobs/[^/]*$"),
    )  # fmt: skip
    service.app.state.live = replace(service.app.state.live, longest_s=0.2)  # nobody waits for a stream's own end
    report = await probe(service.app, probing, Path(folder))
    assert not report.failures, report.failures
    assert report.never_asked == set()
    assert report.never_succeeded == {("GET", "/ready")}  # nothing runs behind this door


async def stop_after_checkpoint(world: World, number: int) -> None:
    folder = anyio.Path(world.work_dir) / f"job-{number}" / "checkpoints" / "checkpoint-1"
    await folder.mkdir(parents=True)
    figures = {"step": 1, "epoch": 1.0, "path": str(folder), "size_bytes": 1}
    async with world.work() as unit:
        lease = Lease(job_id=f"job-{number}", owner="here", attempt=1)
        await jobs.add_checkpoint(unit.session, lease, figures, at=datetime.now(UTC))
    await world.set_job(f"job-{number}", state=RunState.STOPPED)


async def a_study(world: World, number: int) -> str:
    """Of three, one goes on, and two have a best trial that can be promoted."""
    state = RunState.RUNNING if number % 3 == 0 else RunState.SUCCEEDED
    study = Study(
        study_id=f"study-{number}", name="rates", task_id=TASK, base_model=BASE,
        training_data=a_request().training_data, method="lora", objective="sft", hyperparameters=Hyperparameters(),
        space=SearchSpace.model_validate(SPACE), terms=StudyTerms(max_trials=50), state=state,
        created_by="somebody", counts_from=0, promoted_trial=None, traceparent=None,
    )  # fmt: skip
    trial = Trial(number=0, settings={"learning_rate": 0.01}, state=TrialState.RUNNING, job_id=f"trial-{number}")
    end = TrialEnd(state=TrialState.SUCCEEDED, value=0.5)
    now = datetime.now(UTC)
    async with world.work() as unit:
        await studies.add(unit.session, study, at=now)
        await studies.add_trial(unit.session, study.study_id, 0, settings=trial.settings, job_id=trial.job_id, at=now)
        await studies.end_trial(unit.session, study.study_id, trial, end, at=now)
    return study.study_id
