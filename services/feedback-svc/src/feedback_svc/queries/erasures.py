"""Read model of erasures: that a person's words are gone, and how many there were."""

from datetime import datetime

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.store.tables import erasures, export_deletions
from loopwright.contracts.base import Value
from loopwright.errors import NotFound


class ErasureView(Value):
    """One person whose data was erased; words of that person that come later are not kept."""

    unit_hash: str
    erasure_id: str
    erased_at: datetime = Field(description="when it was asked for")
    handled_at: datetime
    inferences: int = Field(description="inferences that lost what was said")
    ratings: int = Field(description="ratings that lost comment and correction")
    samples: int = Field(description="samples that were deleted")
    records: int = Field(description="upstream records, or batches of logs, that lost content")
    exports: int = Field(description="exports that had to go from storage")
    exports_left: int = Field(description="of these, not deleted yet")


async def get_erasure(session: AsyncSession, unit_hash: str) -> ErasureView:
    """One erasure.

    Raises:
        NotFound: nobody asked to erase that person.
    """
    left = export_deletions.c.deleted_at.is_(None)
    counts = sa.select(
        sa.func.count().label("exports"), sa.func.count().filter(left).label("exports_left")
    ).where(export_deletions.c.erasure_id == erasures.c.erasure_id).correlate(erasures).lateral()  # fmt: skip
    query = sa.select(erasures, counts.c.exports, counts.c.exports_left).where(erasures.c.unit_hash == unit_hash)
    row = (await session.execute(query)).mappings().one_or_none()
    if row is None:
        raise NotFound("erasure.not-found", "nobody asked to erase that person", unit_hash=unit_hash)
    return ErasureView.model_validate(dict(row))
