"""Before the process starts: the job's folder is laid out, complete, so that the run can be repeated from it."""

import asyncio
import shutil
from pathlib import Path

import structlog

from loopwright.archives import Bounds, unpack
from loopwright.contracts.base import Artifact
from loopwright.contracts.jobs import JobKind
from loopwright.errors import DependencyError
from loopwright.telemetry import current_traceparent
from trainer_svc.domain.jobs import Job
from trainer_svc.handlers.running import forget_later_checkpoints, keep_run_id
from trainer_svc.jobs.attempt import Attempt, StopAskedWhilePreparing
from trainer_svc.jobs.bench import Tools
from trainer_svc.recipes.checkpoints import PREFIX
from trainer_svc.recipes.job_file import JobFile, TraceTarget, TrackingTarget

_log = structlog.get_logger()
_TRAIN, _VALIDATION = "train.jsonl", "validation.jsonl"
_WITHOUT_DATA = (JobKind.MERGE, JobKind.GGUF)
_DELAY_S = 2.0
_SOURCE_BOUNDS = Bounds(files=200, size_bytes=8 << 30)  # a rank 512 adapter of a 70B model stays below


async def lay_out(attempt: Attempt, tools: Tools) -> Path:
    """Fills the job's folder: data by content, the adapter that it works on, and the job file.

    Raises:
        StopAskedWhilePreparing: somebody does not want it any more.
        ContractError: what it works on is not what was promised.
    """
    job, folder, bench = attempt.job, attempt.folder, tools.bench
    folder.mkdir(parents=True, exist_ok=True)
    checkpoints = folder / "checkpoints"
    await _go_back(job, checkpoints, tools)
    validation = await _fetch_data(attempt, tools)
    source = None
    if job.source_adapter is not None:
        source = folder / "source"
        await _fetch(attempt, job.source_adapter, folder / "source.tar", tools)
        await asyncio.to_thread(unpack, folder / "source.tar", source, _SOURCE_BOUNDS)
        (folder / "source.tar").unlink()
    teacher = job.hyperparameters.teacher if job.objective == "distill" and job.kind is JobKind.TRAIN else None
    content = JobFile(
        job_id=job.lease.job_id, attempt=job.lease.attempt, base_model=bench.installed.folders[job.base_model],
        train_file=folder / _TRAIN, validation_file=validation, checkpoint_dir=checkpoints,
        output_dir=output_dir(folder, job.kind), method=job.method, objective=job.objective, kind=job.kind,
        dataset_version=job.training_data.version_id, watermark_key_file=bench.watermark_key_file,
        signing_key_file=bench.signing_key_file,
        teacher_model=None if teacher is None else bench.installed.folders[teacher], source_adapter=source,
        program=bench.installed.programs.get(job.hyperparameters.trainer),
        world_size=len(job.devices) * tools.launcher.machines, hyperparameters=job.hyperparameters,
        cpu_threads=bench.cpu_threads, tracking=await _tracking(job, tools),
        trace=TraceTarget(
            traceparent=current_traceparent(), otlp_endpoint=tools.common.otlp_endpoint,
            trace_dir=tools.common.trace_dir,
        ),
    )  # fmt: skip
    job_file = folder / "job.json"
    job_file.write_text(content.model_dump_json(indent=1))
    return job_file


def output_dir(folder: Path, kind: JobKind) -> Path:
    """Where a job's result appears."""
    return folder / ("adapter" if kind is JobKind.TRAIN else "product")


def forget_data(folder: Path) -> None:
    """What people wrote lies here in plain text, and no longer than a process reads it."""
    for name in (_TRAIN, _VALIDATION):
        (folder / name).unlink(missing_ok=True)


async def _go_back(job: Job, checkpoints: Path, tools: Tools) -> None:
    """Forgets the checkpoints after the one that somebody chose to go on from."""
    if job.resume_from_step is None:
        return
    await asyncio.to_thread(_remove_later, checkpoints, job.resume_from_step)
    while True:
        try:
            async with tools.work() as unit:
                await forget_later_checkpoints(unit, job)
                return
        except DependencyError as error:
            _log.warning("job.waits", reason=str(error))
            await asyncio.sleep(_DELAY_S)


def _remove_later(checkpoints: Path, step: int) -> None:
    for folder in checkpoints.glob(f"{PREFIX}*"):
        if int(folder.name.removeprefix(PREFIX)) > step:
            shutil.rmtree(folder)


async def _fetch_data(attempt: Attempt, tools: Tools) -> Path | None:
    """Fetches what the recipe reads.

    Returns:
        The validation file, if there is one.
    """
    data, folder = attempt.job.training_data, attempt.folder
    if attempt.job.kind in _WITHOUT_DATA:
        return None
    await _fetch(attempt, data.train.artifact, folder / _TRAIN, tools)
    if not data.validation.samples:
        return None
    await _fetch(attempt, data.validation.artifact, folder / _VALIDATION, tools)
    return folder / _VALIDATION


async def _fetch(attempt: Attempt, artifact: Artifact, path: Path, tools: Tools) -> None:
    while True:
        if attempt.stop_wanted or attempt.lost:  # perhaps because the data was erased, and will never be there
            raise StopAskedWhilePreparing
        try:
            await tools.storage.fetch(artifact, path)
        except DependencyError as error:  # storage is away: the job holds its lease and waits
            _log.warning("job.waits", reason=str(error))
            await asyncio.sleep(_DELAY_S)
        else:
            return


async def _tracking(job: Job, tools: Tools) -> TrackingTarget | None:
    try:
        run_id = job.mlflow_run_id or await tools.runs.ensure_run(job)
        async with tools.work() as unit:
            await keep_run_id(unit, job.lease, run_id)
    except DependencyError as error:  # figures are kept in our own rows as well: training need not wait for MLflow
        _log.warning("job.untracked", job_id=job.lease.job_id, reason=str(error))
        return None
    return TrackingTarget(uri=tools.runs.uri, run_id=run_id)
