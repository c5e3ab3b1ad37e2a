"""The shape of every list."""

from dataclasses import dataclass
from typing import Generic, TypeVar

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.store.tables import Base

V = TypeVar("V", bound="View")
R = TypeVar("R", bound=Base)


class View(BaseModel):
    """Something as readers of the API see it."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Which part of a list is wanted.

    Attributes:
        limit: Most items.
        offset: Items to leave out first.
    """

    limit: int
    offset: int


class Page(View, Generic[V]):
    """A part of a list."""

    items: tuple[V, ...]
    total: int = Field(description="length of the whole list")
    limit: int = Field(description="most items of this part")
    offset: int = Field(description="items before this part")


async def read_page(session: AsyncSession, statement: sa.Select[R], window: Window, view: type[V]) -> Page[V]:
    """Runs an ordered query for one part of its rows, and counts all of them."""
    total = (
        await session.execute(sa.select(sa.func.count()).select_from(statement.order_by(None).subquery()))
    ).scalar_one()
    rows = (await session.execute(statement.limit(window.limit).offset(window.offset))).scalars()
    items = tuple(view.model_validate(row) for row in rows)
    return Page[view](items=items, total=total, limit=window.limit, offset=window.offset)
