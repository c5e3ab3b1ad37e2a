"""What follows when a version must not be learned from any more: others are told, and erased ones lose their files."""

from collections.abc import Sequence
from datetime import datetime

from dataset_svc.domain.deletions import Doomed, ObjectKind, is_composed_source, is_own_source
from dataset_svc.domain.samples import SplitName
from dataset_svc.store import cleanings, deletions, erasures
from dataset_svc.store.erasures import Holding
from dataset_svc.store.tables import DatasetRow, VersionRow
from loopwright.contracts.datasets import DatasetDeprecated, DeprecationReason, ErasedSamples, UserErased
from loopwright.unit_of_work import Work


def announce_decision(unit: Work, version: VersionRow, dataset: DatasetRow, *, reason: str, now: datetime) -> None:
    """Says that a person took a version out of use."""
    unit.announce(_deprecated(version, dataset, DeprecationReason.OPERATOR, detail=reason, now=now))


def announce_erasure(unit: Work, holding: Holding, event: UserErased, *, reason: str, now: datetime) -> None:
    """Says that a version held a person's samples, and how many."""
    counts = {str(name): len(holding.rows.get(name, ())) for name in SplitName}
    said = _deprecated(holding.version, holding.dataset, DeprecationReason.ERASURE, detail=reason, now=now)
    unit.announce(
        said.model_copy(
            update={
                "erasure_id": event.erasure_id,
                "unit_hash": event.unit_hash,
                "erased_samples": ErasedSamples.model_validate(counts),
            }
        )
    )


def _deprecated(
    version: VersionRow, dataset: DatasetRow, reason: DeprecationReason, *, detail: str, now: datetime
) -> DatasetDeprecated:
    return DatasetDeprecated(
        version_id=version.version_id,
        dataset_id=dataset.dataset_id,
        dataset_name=dataset.name,
        version=version.number,
        task_id=dataset.task_id,
        content_sha256=version.content_sha256,
        manifest_sha256=None if version.manifest is None else version.manifest.sha256,
        train_sha256=version.train.artifact.sha256,
        validation_sha256=version.validation.artifact.sha256,
        held_out_sha256=version.held_out.artifact.sha256,
        reason=reason,
        detail=detail,
        deprecated_at=now,
    )


async def doom_files(unit: Work, holdings: Sequence[Holding], *, reason: str) -> None:
    """Queues whatever in storage holds samples of a person: parts, origins, sources and rejects, and rows of histories.

    Sources that other services stored are theirs to delete.
    """
    session = unit.session
    for holding in holdings:
        await deletions.queue(session, _objects_of(holding), reason=reason)
        if holding.version.manifest is not None:
            dataset_id, version_id = holding.dataset.dataset_id, holding.version.version_id
            cleanings.add(session, dataset_id, holding.rows, version_id=version_id)
    sources = await erasures.list_pending_sources(session, {holding.dataset.dataset_id for holding in holdings})
    composed = [Doomed(uri=uri, kind=ObjectKind.SOURCE) for uri in sources if is_composed_source(uri)]
    await deletions.queue(session, composed, reason=reason)


def _objects_of(holding: Holding) -> list[Doomed]:
    version, request = holding.version, holding.request
    parts = (version.train, version.validation, version.held_out)
    doomed = [Doomed(uri=part.artifact.uri, kind=ObjectKind.PART) for part in parts]
    if version.origins is not None:
        doomed.append(Doomed(uri=version.origins.uri, kind=ObjectKind.ORIGINS))
    if request.rejects is not None:
        doomed.append(Doomed(uri=request.rejects.uri, kind=ObjectKind.REJECTS))
    if is_own_source(request.source.uri):
        doomed.append(Doomed(uri=request.source.uri, kind=ObjectKind.SOURCE))
    return doomed
