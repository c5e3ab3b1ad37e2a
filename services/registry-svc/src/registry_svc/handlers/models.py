"""What people do with a version that exists: describe it, take it out of use, take its files away."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from loopwright.contracts.base import Artifact
from loopwright.errors import Conflict
from loopwright.unit_of_work import Work
from registry_svc.domain.models import DeploymentSettings, ModelStatus, VariantId
from registry_svc.domain.uses import UseKind
from registry_svc.handlers.uses import change_status, log_use
from registry_svc.store.deployments import find_deployment, list_deployments
from registry_svc.store.models import get_model, save_words


@dataclass(frozen=True, kw_only=True)
class Words:
    """New words for a version; None leaves the old ones."""

    description: str | None
    tags: tuple[str, ...] | None
    settings: DeploymentSettings | None


async def describe_model(variant: VariantId, words: Words, work: Work, *, by: str) -> None:
    """Changes description, tags and settings; MLflow gets them with the card.

    Raises:
        NotFound: there is no such version.
    """
    model = await get_model(work.session, variant, lock=True)
    changed = replace(
        model,
        description=model.description if words.description is None else words.description,
        tags=model.tags if words.tags is None else tuple(dict.fromkeys(words.tags)),
        settings=model.settings if words.settings is None else words.settings,
    )
    if changed == model:
        return
    said = [name for name in ("description", "tags", "settings") if getattr(changed, name) != getattr(model, name)]
    await save_words(work.session, replace(changed, updated_at=datetime.now(UTC)))
    await log_use(variant, work, UseKind.DESCRIBED, reason=f"changed: {', '.join(said)}", by=by)


async def archive_model(variant: VariantId, work: Work, *, reason: str, by: str) -> None:
    """Takes a version out of use; a promotion brings it back.

    Raises:
        NotFound: there is no such version.
        Conflict: it is deployed.
    """
    await get_model(work.session, variant)
    # deployments before models, as everywhere
    for deployment in await list_deployments(work.session):
        current = await find_deployment(work.session, deployment.task_id, lock=True)
        if current is not None and variant in current.variants:
            raise Conflict(
                "model.in-use", f"{variant} is deployed for {current.task_id}; promote another version, or undeploy it",
                task_id=current.task_id,
            )  # fmt: skip
    await change_status(variant, work, ModelStatus.ARCHIVED, reason=reason, by=by)


async def files_to_hand_out(variant: VariantId, work: Work) -> Artifact:
    """Where the files of a version are.

    Raises:
        NotFound: there is no such version.
        Conflict: it has no files of ours.
    """
    model = await get_model(work.session, variant)
    if model.artifact is None:
        raise Conflict("model.no-files", f"{variant} is a base model: its files lie where vLLM has them from")
    return model.artifact


async def log_download(variant: VariantId, work: Work, *, by: str) -> None:
    """Puts on record who is about to get a version's files."""
    await log_use(variant, work, UseKind.DOWNLOADED, reason="asked for through the API", by=by)
