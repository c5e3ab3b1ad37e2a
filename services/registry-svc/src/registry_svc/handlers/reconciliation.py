"""What should be true outside of our rows: which adapters are loaded, which aliases MLflow has, what lacks a champion."""

from collections.abc import Sequence
from dataclasses import dataclass

from loopwright.unit_of_work import Work
from registry_svc.domain.deployments import Deployment
from registry_svc.domain.models import BASE_VERSION, ModelVersion, VariantId
from registry_svc.domain.replicas import Replica
from registry_svc.store.deployments import list_deployments
from registry_svc.store.models import find_model, list_variants
from registry_svc.store.replicas import save_replicas
from registry_svc.store.tasks import list_tasks
from registry_svc.store.wanted import wanted_names


@dataclass(frozen=True, kw_only=True)
class WantedServing:
    """A deployment and the versions in it."""

    deployment: Deployment
    models: tuple[ModelVersion, ...]


@dataclass(frozen=True, kw_only=True)
class Unserved:
    """A task that nothing serves yet.

    Attributes:
        registered: Whether its base model is a model version already.
    """

    task_id: str
    base_model: str
    registered: bool


async def wanted_serving(work: Work) -> tuple[WantedServing, ...]:
    """What every vLLM server of a task should have loaded."""
    found: list[WantedServing] = []
    for deployment in await list_deployments(work.session):
        models = await list_variants(work.session, deployment.variants)
        versions = tuple(models[variant] for variant in deployment.variants)
        found.append(WantedServing(deployment=deployment, models=versions))
    return tuple(found)


async def needed_names(work: Work) -> frozenset[str]:
    """Names under which vLLM must know what is deployed, or about to be."""
    return await wanted_names(work.session)


async def keep_replicas(seen: Sequence[Replica], work: Work) -> None:
    """Remembers the servers as they were seen, for whoever asks for the deployments."""
    await save_replicas(work.session, seen)


async def unserved_tasks(work: Work) -> tuple[Unserved, ...]:
    """Tasks without a deployment."""
    served = {deployment.task_id for deployment in await list_deployments(work.session)}
    found: list[Unserved] = []
    for task in await list_tasks(work.session):
        if task.task_id not in served:
            base = task.pack.base_model
            model = await find_model(work.session, VariantId(base, BASE_VERSION))
            found.append(Unserved(task_id=task.task_id, base_model=base, registered=model is not None))
    return tuple(found)
