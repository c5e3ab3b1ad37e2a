"""Inferences, and the locks under which each meets its ratings."""

import zlib
from collections.abc import Collection, Sequence
from datetime import datetime
from http import HTTPStatus
from operator import attrgetter

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.refusals import refuses
from feedback_svc.domain.signals import Answered, Turn
from feedback_svc.store.copying import copy_rows, fetch
from feedback_svc.store.tables import inferences
from loopwright.contracts.base import ChatMessage, Value
from loopwright.sealed_columns import ColumnOpener, ColumnSealer, standing_sealer


class Content(Value):
    """What was said; everything is None where the task's privacy keeps conversations in the router."""

    input: str | None = None
    messages: tuple[ChatMessage, ...] | None = None
    answer: str | None = None


class _Conversation(msgspec.Struct, gc=False):
    """A `Content` as it is written."""

    input: str | None
    messages: tuple[Turn, ...] | None
    answer: str | None


# attributes of the event that have a column of the same name
_SAID = tuple(name for name in Answered.__struct_fields__ if name in inferences.c)
_said = attrgetter(*_SAID)
_COLUMNS = (*_SAID, "content", "refuses", "received_at")
_encode = msgspec.json.Encoder().encode
_LOCKS = 256  # of all inferences: PostgreSQL's default has room for 6,400 in all transactions together
_LOCK_CLASS = 0x6665_6564  # any number that no other advisory locks of this database use


async def lock_inferences(session: AsyncSession, inference_ids: Collection[str]) -> None:
    """Lets nobody else handle these inferences or ratings of them until the end of the transaction.

    An inference and its rating come by different topics. Without the lock two consumers could each miss what the
    other has not committed yet, and the sample would never be formed. Only the lock of erasures comes before it. All
    take the numbers in one order, so that two batches cannot wait for each other.

    What the transaction asks from here on is planned anew each time: a plan that was made while tables were small, and
    kept, would read the whole of them for every batch.
    """
    numbers = sorted({zlib.crc32(inference_id.encode()) % _LOCKS for inference_id in inference_ids})
    await fetch(session, _LOCK, _LOCK_CLASS, numbers)


_LOCK = """
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), count(pg_advisory_xact_lock($1, number))
FROM unnest($2::int[]) AS number
"""


async def add_inferences(
    session: AsyncSession, answered: Sequence[Answered], *, received_at: datetime
) -> dict[str, Answered]:
    """Stores inferences, each once; of several with one id the first. The caller holds `lock_inferences`.

    Returns:
        Those that were new, by id.
    """
    first = {one.inference_id: one for one in reversed(answered)}
    known = await fetch(session, _KNOWN, list(first))
    for row in known:
        del first[row[0]]
    sealer = await standing_sealer(session, inferences.name)
    rows = [
        (*_said(one), _content_of(one, sealer), None if one.answer is None else refuses(one.answer), received_at)
        for one in first.values()
    ]
    await copy_rows(session, inferences, _COLUMNS, rows)
    return first


_KNOWN = "SELECT inference_id FROM feedback.inferences WHERE inference_id = ANY ($1)"


def _content_of(event: Answered, sealer: ColumnSealer) -> bytes | None:
    """A `Content`, sealed, if anything is known; what the event holds was looked at when it was read."""
    if event.input is event.messages is event.answer is None:
        return None
    return sealer.seal(_encode(_Conversation(event.input, event.messages, event.answer)))


async def erase_inferences(session: AsyncSession, unit_hash: str) -> int:
    """Forgets what was said to and by a person; figures stay. Returns how many rows changed."""
    words = inferences.c.content.is_not(None) | inferences.c.sealed_content.is_not(None)
    statement = (
        sa.update(inferences)
        .where(inferences.c.unit_hash == unit_hash, words)
        .values(content=None, sealed_content=None)
        .returning(inferences.c.inference_id)
    )
    return len((await session.execute(statement)).all())


async def list_inferences_of(session: AsyncSession, unit_hash: str) -> list[str]:
    """Ids of a person's inferences."""
    query = sa.select(inferences.c.inference_id).where(inferences.c.unit_hash == unit_hash)
    return list((await session.execute(query)).scalars())


async def find_contents(session: AsyncSession, inference_ids: Collection[str]) -> dict[str, Content]:
    """What was said in those inferences that have arrived. An answer that broke off counts as none."""
    rows = await fetch(session, _CONTENTS, sorted(inference_ids))
    contents = await open_contents(session, [content for _, content, _ in rows])
    return {
        inference_id: _heard(content, http_status)
        for (inference_id, _, http_status), content in zip(rows, contents, strict=True)
    }


async def open_contents(session: AsyncSession, values: Sequence[bytes | None]) -> list[Content]:
    """What was said, out of values of the column, in order."""
    said = await ColumnOpener(session, inferences.name).open_known(values)
    return [Content() if content is None else Content.model_validate_json(content) for content in said]


_CONTENTS = "SELECT inference_id, content, http_status FROM feedback.inferences WHERE inference_id = ANY ($1)"


def _heard(content: Content, http_status: int) -> Content:
    return content if http_status == HTTPStatus.OK else content.model_copy(update={"answer": None})
