"""The shape of every list of the admin APIs: `{items, total, limit, offset}`."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

import sqlalchemy as sa
from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

V = TypeVar("V", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Which part of a list is wanted.

    Attributes:
        limit: Most items.
        offset: Items to leave out first.
    """

    limit: int
    offset: int


class Page(BaseModel, Generic[V]):
    """A part of a list."""

    model_config = ConfigDict(frozen=True)

    items: tuple[V, ...] = Field(description="the part that was asked for")
    total: int = Field(description="length of the whole list")
    limit: int = Field(description="most items of this part")
    offset: int = Field(description="items before this part")


async def read_page(
    session: AsyncSession, statement: sa.Select[*tuple[object, ...]], window: Window, view: Callable[[sa.RowMapping], V]
) -> Page[V]:
    """Runs an ordered query for one part of its rows, and counts all of them."""

    async def views(rows: Sequence[sa.RowMapping]) -> tuple[V, ...]:
        return tuple(map(view, rows))

    return await read_opened_page(session, statement, window, views)


async def read_opened_page(
    session: AsyncSession,
    statement: sa.Select[*tuple[object, ...]],
    window: Window,
    views: Callable[[Sequence[sa.RowMapping]], Awaitable[tuple[V, ...]]],
) -> Page[V]:
    """As `read_page`, where rows are viewed all together: what lies sealed in them is opened at once."""
    count = sa.select(sa.func.count()).select_from(statement.order_by(None).subquery())
    total = (await session.execute(count)).scalar_one()
    rows = (await session.execute(statement.limit(window.limit).offset(window.offset))).mappings().all()
    return Page(items=await views(rows), total=total, limit=window.limit, offset=window.offset)


def _window(
    limit: Annotated[int, Query(ge=1, le=500, description="most items")] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000, description="items to leave out first")] = 0,
) -> Window:
    return Window(limit=limit, offset=offset)


Part = Annotated[Window, Depends(_window)]
