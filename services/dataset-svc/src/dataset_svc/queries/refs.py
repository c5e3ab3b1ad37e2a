"""Branches and tags as readers see them, and versions by any address."""

from datetime import datetime

import sqlalchemy as sa
from pydantic import Field

from dataset_svc.domain.versions.version_refs import RefKind
from dataset_svc.queries.datasets import VersionView, read_dataset
from dataset_svc.queries.pages import View, read_page
from dataset_svc.store import refs
from dataset_svc.store.tables import RefRow
from loopwright.errors import NotFound
from loopwright.pages import Page, Window
from loopwright.unit_of_work import Work


class RefView(View):
    """A name of a version."""

    dataset_id: str
    name: str
    kind: RefKind = Field(description="branches move, tags stay")
    version_id: str
    reason: str = Field(description="why it was put there")
    moved_by: str = Field(description="who put it there")
    moved_at: datetime


async def list_refs(unit: Work, dataset_id: str, window: Window, *, kind: RefKind | None) -> Page[RefView]:
    """A dataset's branches and tags by name.

    Raises:
        NotFound: there is no such dataset.
    """
    await read_dataset(unit, dataset_id)
    statement = sa.select(RefRow).where(RefRow.dataset_id == dataset_id).order_by(RefRow.name)
    if kind is not None:
        statement = statement.where(RefRow.kind == kind)
    return await read_page(unit.session, statement, window, RefView)


async def read_ref(unit: Work, dataset_id: str, name: str) -> RefView:
    """One name.

    Raises:
        NotFound: there is none.
    """
    row = await unit.session.get(RefRow, (dataset_id, name))
    if row is None:
        raise NotFound("dataset.ref-not-found", "the dataset has no branch or tag of that name", name=name)
    return RefView.model_validate(row)


async def read_version_at(unit: Work, dataset_id: str, address: str) -> VersionView:
    """A version of a dataset by id, number, branch, tag or `latest`.

    Raises:
        Invalid: that is no address.
        NotFound: nothing is there.
    """
    return VersionView.model_validate(await refs.get_version_at(unit.session, dataset_id, address))
