"""HTTP door of comparing, merging and dividing versions."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Self

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from dataset_svc.api.doors import Door
from dataset_svc.api.paths import DatasetId, VersionId
from dataset_svc.api.schemas import Text
from dataset_svc.domain.splits import Shares
from dataset_svc.domain.versions.version_diff import ChangeKind
from dataset_svc.handlers.merges import MergeOrder, compose, plan_merge, queue_merge
from dataset_svc.handlers.splits import compose_split, plan_split, queue_split
from dataset_svc.queries.datasets import VersionView
from dataset_svc.queries.diffs import DiffView, compare, open_pair, open_version, read_pair
from loopwright.auth import Engineer, Viewer
from loopwright.contracts.base import Share
from loopwright.contracts.tasks import DataPolicy
from loopwright.pages import Part
from loopwright.problems import ADMIN_PROBLEMS

PREFIX = "/api/v1/admin/training/datasets"
routes = APIRouter(prefix=PREFIX, tags=["versions"], responses=ADMIN_PROBLEMS)

Against = Annotated[
    str,
    Query(max_length=200, pattern=r"^[^\x00]+$", description="id, number, branch, tag or `latest` of the same dataset"),
]
OfKind = Annotated[ChangeKind, Query(alias="kind", description="what to show examples of")]
AtVersion = Annotated[Text, Field(min_length=1, description="id, number, branch, tag or `latest`")]


class MergeWanted(BaseModel):
    """New samples and a share of earlier ones."""

    model_config = ConfigDict(extra="forbid")

    base_version: AtVersion
    other_version: AtVersion
    replay_share_0_1: Share = Field(description="of each category of the base's training and validation samples")
    seed: int = Field(ge=0, lt=1 << 63, description="chooses them; the same seed chooses the same ones")
    policy: DataPolicy | None = Field(default=None, description="as for the other version if left out")


class MergeAccepted(BaseModel):
    """A merge that is being built; its state is at `requests/<request_id>`."""

    request_id: str
    dataset_name: str
    base_version_id: str
    other_version_id: str
    samples: int = Field(description="lines of the source that was composed")
    replayed: int = Field(description="of these, chosen from the base for replay")


class SplitWanted(BaseModel):
    """Other shares for the parts of a version; what they leave over trains."""

    model_config = ConfigDict(extra="forbid")

    held_out_share_0_1: float = Field(ge=0, lt=1, allow_inf_nan=False, description="kept for evaluation")
    validation_share_0_1: float = Field(ge=0, lt=1, allow_inf_nan=False, description="kept for early stopping")

    @model_validator(mode="after")
    def _something_trains(self) -> Self:
        if self.held_out_share_0_1 + self.validation_share_0_1 >= 1:
            raise ValueError("the shares together must be less than 1, for something has to be trained on")
        return self


class SplitAccepted(BaseModel):
    """A version that is being divided anew; its state is at `requests/<request_id>`."""

    request_id: str
    dataset_name: str
    version_id: str = Field(description="version whose samples are divided")
    samples: int = Field(description="that it has")
    held_out: int = Field(description="of these, held out already, and therefore for good")


@routes.get("/versions/{version_id}/diff")
async def get_diff(
    _: Viewer, door: Door, version_id: VersionId, against: Against, part: Part, kind: OfKind = ChangeKind.CHANGED
) -> DiffView:
    """What changed from the version `against` to this one."""
    async with door.work() as unit:
        before, after = await read_pair(unit, version_id, against=against)
    return await compare(before, after, door.packs, kind=kind, window=part)


@routes.post("/{dataset_id}/merge", status_code=HTTPStatus.ACCEPTED)
async def post_merge(
    principal: Engineer, door: Door, dataset_id: DatasetId, body: MergeWanted, response: Response
) -> MergeAccepted:
    """Composes a source and queues it; masking, conflicts, duplicates and held-out rules apply as to any other."""
    order = MergeOrder(
        dataset_id=dataset_id,
        base=body.base_version,
        other=body.other_version,
        replay_share_0_1=body.replay_share_0_1,
        seed=body.seed,
        policy=body.policy,
    )
    async with door.work() as unit:
        plan = await plan_merge(unit, order)
        base, other = VersionView.model_validate(plan.base), VersionView.model_validate(plan.other)
    opened = await open_pair(base, other, door.packs)
    composed = await compose(*opened, order, door.storage)
    async with door.work() as unit:
        request = await queue_merge(unit, plan, composed, by=principal.subject, now=datetime.now(UTC))
    response.headers["Location"] = f"{PREFIX}/requests/{request.request_id}"
    return MergeAccepted(
        request_id=request.request_id,
        dataset_name=request.dataset_name,
        base_version_id=base.version_id,
        other_version_id=other.version_id,
        samples=composed.samples,
        replayed=composed.replayed,
    )


@routes.post("/versions/{version_id}/split", status_code=HTTPStatus.ACCEPTED)
async def post_split(
    principal: Engineer, door: Door, version_id: VersionId, body: SplitWanted, response: Response
) -> SplitAccepted:
    """Queues a new version with the same samples and other shares; `main` follows it, as it does every new version.

    Samples may go from training or validation to any part. What was held out once, by this version or a later one,
    stays held out: a smaller held-out share than that is refused (409 `dataset.held-out-stays`). Models of earlier
    versions may have learned what this one holds out, so judge by it only models that were trained on it.
    """
    shares = Shares(held_out_0_1=body.held_out_share_0_1, validation_0_1=body.validation_share_0_1)
    async with door.work() as unit:
        plan = await plan_split(unit, version_id, shares)
        version = VersionView.model_validate(plan.version)
    source = await compose_split(await open_version(version, door.packs), door.storage)
    async with door.work() as unit:
        request = await queue_split(unit, plan, source, by=principal.subject, now=datetime.now(UTC))
    response.headers["Location"] = f"{PREFIX}/requests/{request.request_id}"
    return SplitAccepted(
        request_id=request.request_id,
        dataset_name=request.dataset_name,
        version_id=version.version_id,
        samples=plan.samples,
        held_out=plan.held_out,
    )
