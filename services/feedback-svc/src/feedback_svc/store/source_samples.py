"""Samples that were learned from upstream records, by source and key."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.samples import Draft, Sample, SampleState, claim_of, origin_of, sample_id_of
from feedback_svc.store.samples import FIXED_STATES, Taught, open_lessons, sample_of
from feedback_svc.store.tables import samples
from loopwright.contracts.base import ChatMessage
from loopwright.sealed_columns import ColumnSealer, standing_sealer

_ROWS = 200  # of one statement


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What a source's records teach, ready to be kept.

    Attributes:
        messages: The conversation that the answer ends.
        unit_hash: The person whom the records name, if they name one.
        traceparent: Trace of the run that formed it.
    """

    draft: Draft
    key: str
    messages: tuple[ChatMessage, ...]
    record_ids: tuple[str, ...]
    subjects: frozenset[str]
    unit_hash: str | None
    rater: str | None
    metadata: Mapping[str, str]


async def list_collected(
    session: AsyncSession, task_id: str, source: str, keys: Collection[str]
) -> dict[str, list[Sample]]:
    """Samples of a source by key."""
    columns = samples.c
    query = sa.select(samples).where(
        columns.task_id == task_id,
        columns.collected_from == source,
        columns.source_key == sa.any_(sa.literal(sorted(keys), ARRAY(sa.Text))),
    )
    found: dict[str, list[Sample]] = {key: [] for key in keys}
    rows = (await session.execute(query)).all()
    for row, said in zip(rows, await open_lessons(session, [row.lesson for row in rows]), strict=True):
        found[row.source_key].append(sample_of(row, said))
    return found


async def withdraw(session: AsyncSession, sample_ids: Sequence[str], *, now: datetime) -> None:
    """Takes back samples that no request has taken."""
    await session.execute(
        sa.update(samples)
        .where(samples.c.sample_id.in_(sample_ids), samples.c.state == SampleState.READY)
        .values(state=SampleState.WITHDRAWN, changed_at=now)
    )


async def save_collected(
    session: AsyncSession, collected: Sequence[Collected], task_id: str, source: str, *, traceparent: str | None,
    now: datetime,
) -> None:  # fmt: skip
    """Makes samples ready, in few statements; each may come once."""
    sealer = await standing_sealer(session, samples.name)
    shared: dict[str, object] = {
        "task_id": task_id, "collected_from": source, "traceparent": traceparent, "formed_at": now, "changed_at": now,
        "inference_id": None, "state": SampleState.READY, "rating_ids": [],
    }  # fmt: skip
    rows = [shared | _row(one, task_id, source, sealer) for one in collected]
    for start in range(0, len(rows), _ROWS):
        statement = insert(samples).values(rows[start : start + _ROWS])
        anew = {name: statement.excluded[name] for name in rows[0] if name not in {"sample_id", "formed_at"}}
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=[samples.c.sample_id], set_=anew, where=samples.c.state.not_in(FIXED_STATES)
            )
        )


def _row(one: Collected, task_id: str, source: str, sealer: ColumnSealer) -> dict[str, object]:
    draft = one.draft
    assert draft.input is not None
    taught = Taught(answer=draft.answer, input=draft.input, metadata=dict(one.metadata), messages=one.messages)
    return {
        "sample_id": sample_id_of(origin_of(task_id, source, one.key, draft.input), draft.answer),
        "unit_hash": one.unit_hash, "source": draft.source, "weight_0_1": draft.weight_0_1, "source_key": one.key,
        "record_ids": list(one.record_ids), "subjects": sorted(one.subjects), "rater": one.rater,
        "claim": claim_of(draft.answer), "lesson": sealer.seal(taught.model_dump_json().encode()),
    }  # fmt: skip
