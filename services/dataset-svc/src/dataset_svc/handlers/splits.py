"""The samples of a version become one source, which goes through the queue with other shares for the parts."""

import asyncio
import tempfile
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dataset_svc.adapters.version_packs import OpenVersion
from dataset_svc.domain.requests import Origin, Purpose, VersionRequest
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.splits import Shares
from dataset_svc.domain.versions.new_splits import check_held_out_stays
from dataset_svc.handlers.deletions import doom_if_composed_of_erased
from dataset_svc.handlers.requests import record_request
from dataset_svc.store import datasets
from dataset_svc.store.tables import DatasetRow, RequestRow, VersionRow
from loopwright.contracts.base import Artifact
from loopwright.contracts.tasks import DataPolicy
from loopwright.errors import NotFound
from loopwright.storage import Storage
from loopwright.unit_of_work import Work


@dataclass(frozen=True, kw_only=True)
class SplitPlan:
    """A version that is to be divided anew.

    Attributes:
        policy: What it was made by, with the new shares.
        samples: That it has.
        held_out: Of these, samples that stay held out.
    """

    dataset: DatasetRow
    version: VersionRow
    policy: DataPolicy
    samples: int
    held_out: int


async def plan_split(unit: Work, version_id: str, shares: Shares) -> SplitPlan:
    """Finds the version, and whether it can be divided so.

    Raises:
        NotFound: there is no such version.
        Conflict: held-out samples would have to be trained on.
    """
    version = await datasets.get_version(unit.session, version_id)
    dataset = await unit.session.get_one(DatasetRow, version.dataset_id)
    made_by = await unit.session.get(RequestRow, version.request_id)
    if made_by is None:
        raise NotFound("dataset.request-not-found", "the version's request is gone", request_id=version.request_id)
    policy = made_by.data_policy
    current = Shares(held_out_0_1=policy.held_out_share_0_1, validation_0_1=policy.validation_share_0_1)
    samples = sum(part.samples for part in (version.train, version.validation, version.held_out))
    held_out = await datasets.count_held_out(unit.session, version)
    check_held_out_stays(shares, current, held_out=held_out, samples=samples)
    changed = {"held_out_share_0_1": shares.held_out_0_1, "validation_share_0_1": shares.validation_0_1}
    return SplitPlan(
        dataset=dataset, version=version, policy=policy.model_copy(update=changed), samples=samples, held_out=held_out
    )


async def compose_split(version: OpenVersion, storage: Storage) -> Artifact:
    """Writes all lines of a version into one source.

    Raises:
        InvalidPayload: the history does not give the version's bytes.
        StoreUnavailable: storage is away, or the version's files are gone.
    """
    with tempfile.NamedTemporaryFile(prefix="dataset-split-") as file:
        for part in SplitName:
            async for piece in version.lines(part):
                await asyncio.to_thread(file.write, piece)
        await asyncio.to_thread(file.flush)
        return await storage.put_file(Path(file.name), kind="splits", suffix=".jsonl", media_type="application/jsonl")


async def queue_split(unit: Work, plan: SplitPlan, source: Artifact, *, by: str, now: datetime) -> VersionRequest:
    """Asks for the version that the source becomes."""
    held_out, validation = plan.policy.held_out_share_0_1, plan.policy.validation_share_0_1
    request = VersionRequest(
        request_id=f"split-{uuid.uuid4().hex}",
        task_id=plan.dataset.task_id,
        dataset_name=plan.dataset.name,
        description=plan.dataset.description,
        origin=Origin.EVENT,  # its lines say themselves where they were learned, as an export's do
        requested_by=by,
        requested_at=now,
        reason=f"{plan.version.version_id} divided anew: {held_out:g} held out, {validation:g} for validation",
        source=source,
        sample_count=plan.samples,
        policy=plan.policy,
        traceparent=None,
        purpose=Purpose.SPLIT,
    )
    await record_request(unit, request)
    await doom_if_composed_of_erased(unit, source, (plan.version.version_id,))
    return request
