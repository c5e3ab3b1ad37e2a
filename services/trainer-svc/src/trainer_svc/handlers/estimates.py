"""What a job would take, told from its settings, the base model and earlier runs."""

from collections.abc import Mapping

from loopwright.contracts.jobs import JobRequested
from loopwright.unit_of_work import Work
from trainer_svc.domain.estimates import Estimate, Prospect, estimate
from trainer_svc.domain.installed import Installed
from trainer_svc.domain.jobs import slots_of
from trainer_svc.domain.memory import Undertaking
from trainer_svc.domain.queue import kind_of
from trainer_svc.store import history, queue


async def estimate_job(
    unit: Work, request: JobRequested, installed: Installed, *, prices: Mapping[str, float]
) -> Estimate:
    """Estimates a job on the kind of device that it names, or else the one that workers have.

    Args:
        prices: Of a device and hour, by kind.
    """
    device_kind = await _device_kind(unit, request)
    train = request.training_data.train
    work = Undertaking(
        kind=request.kind,
        method=request.method,
        objective=request.objective,
        hyperparameters=request.hyperparameters,
        device_count=slots_of(request),
        mean_sample_bytes=train.artifact.size_bytes / max(train.samples, 1),
    )
    prospect = Prospect(
        work=work,
        base_model=request.base_model,
        samples=train.samples,
        data_bytes=train.artifact.size_bytes,
        device_kind=device_kind,
        price_per_device_hour=prices.get(device_kind),
    )
    past = await history.list_past_runs(unit.session)
    return estimate(prospect, past, installed.shapes, teacher=request.hyperparameters.teacher)


async def _device_kind(unit: Work, request: JobRequested) -> str:
    workers = await queue.list_workers(unit.session)
    able = [worker for worker in workers if request.base_model in worker.base_models] or workers
    return kind_of(next(iter([*request.devices, *(slot for worker in able for slot in worker.slots), "cpu:0"])))
