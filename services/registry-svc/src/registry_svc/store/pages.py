"""Long lists, a part at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.pages import Window

T = TypeVar("T")
Row = sa.Row[tuple[object, ...]]


@dataclass(frozen=True, kw_only=True)
class Paged(Generic[T]):
    """A part of a list, and how long the whole is."""

    items: Sequence[T]
    total: int


async def fetch_page(
    session: AsyncSession, query: sa.Select[tuple[object, ...]], window: Window, *, build: Callable[[Row], T]
) -> Paged[T]:
    """Runs an ordered query for one part, and counts the whole."""
    total = await session.scalar(sa.select(sa.func.count()).select_from(query.order_by(None).subquery()))
    rows = await session.execute(query.limit(window.limit).offset(window.offset))
    return Paged(items=[build(row) for row in rows], total=total or 0)
