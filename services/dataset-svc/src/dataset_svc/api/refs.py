"""HTTP door of branches and tags."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from dataset_svc.api.doors import Door
from dataset_svc.api.paths import DatasetId, RefName
from dataset_svc.api.schemas import Text
from dataset_svc.domain.versions.version_refs import NAME_PATTERN, RefKind
from dataset_svc.handlers.refs import Actor, NewRef, create_ref, delete_ref, move_ref
from dataset_svc.queries.refs import RefView, list_refs, read_ref
from loopwright.auth import Engineer, Principal, Role, Viewer
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS

routes = APIRouter(prefix="/api/v1/admin/training/datasets/{dataset_id}/refs", tags=["refs"], responses=ADMIN_PROBLEMS)

OfKind = Annotated[RefKind | None, Query(alias="kind", description="only branches, or only tags")]
WithReason = Annotated[Text, Query(alias="reason", description="for people; a tag goes only with one")]
AtVersion = Annotated[
    Text, Field(min_length=1, description="id, number, branch, tag or `latest` of a version of the dataset")
]


class RefWanted(BaseModel):
    """A name for a version."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=NAME_PATTERN, description="letters, digits, `.`, `_` and `-`")]
    kind: RefKind
    version: AtVersion
    reason: Text = ""


class RefMove(BaseModel):
    """Where a name is to point."""

    model_config = ConfigDict(extra="forbid")

    version: AtVersion
    reason: Annotated[Text, Field(description="for people; a tag moves only with one")] = ""


@routes.get("")
async def get_refs(_: Viewer, door: Door, dataset_id: DatasetId, part: Part, kind: OfKind = None) -> Page[RefView]:
    async with door.work() as unit:
        return await list_refs(unit, dataset_id, part, kind=kind)


@routes.get("/{name}")
async def get_ref(_: Viewer, door: Door, dataset_id: DatasetId, name: RefName) -> RefView:
    async with door.work() as unit:
        return await read_ref(unit, dataset_id, name)


@routes.post("", status_code=HTTPStatus.CREATED)
async def post_ref(
    principal: Engineer, door: Door, dataset_id: DatasetId, body: RefWanted, response: Response
) -> RefView:
    wanted = NewRef(dataset_id=dataset_id, name=body.name, kind=body.kind, address=body.version)
    async with door.work() as unit:
        await create_ref(unit, wanted, _actor(principal, body.reason))
        view = await read_ref(unit, dataset_id, body.name)
    response.headers["Location"] = f"/api/v1/admin/training/datasets/{dataset_id}/refs/{body.name}"
    return view


@routes.post("/{name}/move")
async def post_move(principal: Engineer, door: Door, dataset_id: DatasetId, name: RefName, body: RefMove) -> RefView:
    """Points a branch elsewhere; a tag only if an admin says why."""
    async with door.work() as unit:
        await move_ref(unit, dataset_id, name, address=body.version, actor=_actor(principal, body.reason))
        await unit.session.flush()
        return await read_ref(unit, dataset_id, name)


@routes.delete("/{name}", status_code=HTTPStatus.NO_CONTENT)
async def remove_ref(
    principal: Engineer, door: Door, dataset_id: DatasetId, name: RefName, reason: WithReason = ""
) -> None:
    """Takes a branch away; a tag only if an admin says why."""
    async with door.work() as unit:
        await delete_ref(unit, dataset_id, name, actor=_actor(principal, reason))


def _actor(principal: Principal, reason: str) -> Actor:
    return Actor(
        subject=principal.subject,
        may_move_tags=principal.role >= Role.ADMIN,
        reason=reason,
        now=datetime.now(UTC),
    )
