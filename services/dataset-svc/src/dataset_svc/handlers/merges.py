"""New samples and a share of earlier ones become one source, which goes through the queue like any other."""

import asyncio
import tempfile
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

import numpy as np

from dataset_svc.adapters.version_packs import OpenVersion
from dataset_svc.domain.requests import Origin, VersionRequest
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.versions.replays import category_of, choose_replays, preferred
from dataset_svc.domain.versions.row_hashes import KEY_BYTES, Spans, Words, cut, hash_sample_ids, match
from dataset_svc.handlers.deletions import doom_if_composed_of_erased
from dataset_svc.handlers.requests import record_request
from dataset_svc.store import datasets, refs
from dataset_svc.store.tables import DatasetRow, RequestRow, VersionRow
from loopwright.contracts.base import Artifact
from loopwright.contracts.tasks import DataPolicy
from loopwright.errors import NotFound
from loopwright.storage import Storage
from loopwright.unit_of_work import Work

_PIECE_ROWS = 4096


@dataclass(frozen=True, kw_only=True)
class MergeOrder:
    """What is to be merged.

    Attributes:
        base: Address of the earlier version, of which a share is replayed.
        other: Address of the version whose samples all come in.
        replay_share_0_1: Share of each category of the base's training and validation samples.
        seed: Chooses them; the same seed chooses the same ones.
        policy: How the result is cleaned and split; None for what the other version was made by.
    """

    dataset_id: str
    base: str
    other: str
    replay_share_0_1: float
    seed: int
    policy: DataPolicy | None


@dataclass(frozen=True, kw_only=True)
class MergePlan:
    """A merge whose versions were found."""

    order: MergeOrder
    dataset: DatasetRow
    base: VersionRow
    other: VersionRow
    policy: DataPolicy


@dataclass(frozen=True, kw_only=True)
class Composed:
    """Lines of a merge, as a source."""

    source: Artifact
    samples: int
    replayed: int


async def plan_merge(unit: Work, order: MergeOrder) -> MergePlan:
    """Finds the versions.

    Raises:
        NotFound: there is no such dataset or version.
        Invalid: an address is none.
    """
    dataset = await datasets.get_for_change(unit.session, order.dataset_id)
    base = await refs.get_version_at(unit.session, order.dataset_id, order.base)
    other = await refs.get_version_at(unit.session, order.dataset_id, order.other)
    made_by = await unit.session.get(RequestRow, other.request_id)
    if made_by is None:
        raise NotFound("dataset.request-not-found", "the version's request is gone", request_id=other.request_id)
    return MergePlan(order=order, dataset=dataset, base=base, other=other, policy=order.policy or made_by.data_policy)


async def compose(base: OpenVersion, other: OpenVersion, order: MergeOrder, storage: Storage) -> Composed:
    """Writes the lines of a merge: all of the other version, what the base held out, and its replays.

    A sample that both have comes once, as the builder would prefer it. Held-out samples come along whole, so that
    evaluation stays what it was; the queue's own rules keep them held out.
    """
    replays, held_out = await _chosen(base, order)
    rows = np.concatenate((replays, held_out))
    # a history also holds rows that the version no longer reads, with ids that it may still use
    taken = np.concatenate([np.empty(0, dtype=np.int64), *other.snapshot.parts.values()])
    met = await asyncio.to_thread(match, other.snapshot.index.ids[taken], base.snapshot.index.ids[rows])
    twice = met >= 0
    places = np.where(twice, taken[met] if len(taken) else met, -1)
    clashes = dict(zip(places[twice].tolist(), rows[twice].tolist(), strict=True))
    with tempfile.NamedTemporaryFile(prefix="dataset-merge-") as file:
        for part in other.snapshot.parts.values():
            await _copy(other, part, file.file, instead=(base, clashes))
        await _copy(base, rows[~twice], file.file, instead=None)
        await asyncio.to_thread(file.flush)
        source = await storage.put_file(Path(file.name), kind="merges", suffix=".jsonl", media_type="application/jsonl")
    return Composed(source=source, samples=other.snapshot.rows + int((~twice).sum()), replayed=len(replays))


async def queue_merge(unit: Work, plan: MergePlan, composed: Composed, *, by: str, now: datetime) -> VersionRequest:
    """Asks for the version that the composed source becomes."""
    order = plan.order
    request = VersionRequest(
        request_id=f"merge-{uuid.uuid4().hex}",
        task_id=plan.dataset.task_id,
        dataset_name=plan.dataset.name,
        description=plan.dataset.description,
        origin=Origin.EVENT,  # its lines say themselves where they were learned, as an export's do
        requested_by=by,
        requested_at=now,
        reason=(
            f"merge of {plan.other.version_id} with {order.replay_share_0_1:g} of {plan.base.version_id}"
            f" (seed {order.seed}, {composed.replayed} replayed)"
        ),
        source=composed.source,
        sample_count=composed.samples,
        policy=plan.policy,
        traceparent=None,
    )
    await record_request(unit, request)
    await doom_if_composed_of_erased(unit, composed.source, (plan.base.version_id, plan.other.version_id))
    return request


async def _chosen(base: OpenVersion, order: MergeOrder) -> tuple[Spans, Spans]:
    parts = base.snapshot.parts
    free = np.concatenate((parts[SplitName.TRAIN], parts[SplitName.VALIDATION]))
    categories: list[str] = []
    ids: list[Words] = [np.empty((0, 2), dtype=np.uint64)]
    for first in range(0, len(free), _PIECE_ROWS):
        named = await asyncio.to_thread(_named, await _lines(base, free[first : first + _PIECE_ROWS]))
        ids.append(named[0])
        categories += named[1]
    chosen = await asyncio.to_thread(
        choose_replays, np.concatenate(ids), categories, share_0_1=order.replay_share_0_1, seed=order.seed
    )
    return free[chosen], parts[SplitName.HELD_OUT]


def _named(lines: list[bytes]) -> tuple[Words, list[str]]:
    content = b"".join(lines)
    # the key of a history is drawn by chance, and must not decide what a seed chooses
    return hash_sample_ids(content, cut(content), bytes(KEY_BYTES)), [category_of(line) for line in lines]


async def _lines(version: OpenVersion, places: Spans) -> list[bytes]:
    pieces = [piece async for piece in version.pieces(places)]
    return b"".join(pieces).splitlines(keepends=True)


async def _copy(
    version: OpenVersion, places: Spans, file: IO[bytes], *, instead: tuple[OpenVersion, dict[int, int]] | None
) -> None:
    for first in range(0, len(places), _PIECE_ROWS):
        run = places[first : first + _PIECE_ROWS]
        lines = await _lines(version, run)
        if instead is not None:
            rival, clashes = instead
            met = [(at, clashes[place]) for at, place in enumerate(run.tolist()) if place in clashes]
            texts = await rival.texts([place for _, place in met])
            for (at, _), text in zip(met, texts, strict=True):
                lines[at] = preferred(lines[at], text)
        await asyncio.to_thread(file.write, b"".join(lines))
