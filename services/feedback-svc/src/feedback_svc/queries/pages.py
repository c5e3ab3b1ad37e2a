"""Pages of lists, the same for all lists of the API."""

from collections.abc import Callable
from typing import Generic, TypeVar

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.contracts.base import Value

T = TypeVar("T")


class Window(Value):
    """Which part of a list is wanted."""

    limit: int = Field(default=50, ge=1, le=500, description="most items of a page")
    offset: int = Field(default=0, ge=0, description="items before the page")


class Page(Value, Generic[T]):
    """A part of a list."""

    items: tuple[T, ...] = Field(description="the part that was asked for")
    total: int = Field(description="length of the whole list")
    limit: int = Field(description="most items of a page")
    offset: int = Field(description="items before this page")


async def page_of(
    session: AsyncSession, query: sa.Select[*tuple[object, ...]], window: Window, read: Callable[[sa.RowMapping], T]
) -> Page[T]:
    """Reads one page of an ordered query."""
    total = await session.execute(sa.select(sa.func.count()).select_from(query.order_by(None).subquery()))
    rows = await session.execute(query.limit(window.limit).offset(window.offset))
    return Page(
        items=tuple(read(row) for row in rows.mappings()),
        total=total.scalar_one(),
        limit=window.limit,
        offset=window.offset,
    )
