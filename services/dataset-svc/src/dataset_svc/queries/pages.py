"""Lists of rows."""

from collections.abc import Sequence
from typing import TypeVar

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.store.tables import Base
from loopwright.pages import Page, Window

V = TypeVar("V", bound="View")
R = TypeVar("R", bound=Base)


class View(BaseModel):
    """Something as readers of the API see it."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


async def read_rows(session: AsyncSession, statement: sa.Select[R], window: Window) -> tuple[Sequence[R], int]:
    """Runs an ordered query for one part of its rows, and counts all of them."""
    counted = sa.select(sa.func.count()).select_from(statement.order_by(None).subquery())
    total = (await session.execute(counted)).scalar_one()
    rows = (await session.execute(statement.limit(window.limit).offset(window.offset))).scalars().all()
    return rows, total


async def read_page(session: AsyncSession, statement: sa.Select[R], window: Window, view: type[V]) -> Page[V]:
    """One part of an ordered query's rows as readers see them."""
    rows, total = await read_rows(session, statement, window)
    items = tuple(view.model_validate(row) for row in rows)
    return Page[view](items=items, total=total, limit=window.limit, offset=window.offset)
