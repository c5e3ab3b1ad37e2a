"""Samples of a version: provenance from the database, text from the part's file."""

from collections import defaultdict
from collections.abc import Mapping

import sqlalchemy as sa
from pydantic import Field

from dataset_svc.domain.samples import Sample, SplitName, decode
from dataset_svc.domain.sources.lines import LineCutter
from dataset_svc.queries.datasets import VersionView, check_readable, read_version
from dataset_svc.queries.pages import View, read_page
from dataset_svc.store.tables import SampleRow
from loopwright.contracts.base import Artifact
from loopwright.contracts.datasets import SampleSource
from loopwright.pages import Page, Window
from loopwright.storage import Storage
from loopwright.unit_of_work import Work

_NO_LIMIT = 1 << 62


class ProvenanceView(View):
    """Where a sample of a version came from."""

    version_id: str
    sample_id: str
    split: SplitName
    position: int = Field(description="line of the part's file, counted from 0")
    content_sha256: str = Field(description="hash of that line")
    source: SampleSource
    inference_id: str | None
    rating_ids: tuple[str, ...]
    unit_hash: str | None
    weight_0_1: float


class TurnView(View):
    """One message of a sample."""

    role: str
    content: str


class SampleView(ProvenanceView):
    """A sample with its text, as it is trained on."""

    input: str
    messages: tuple[TurnView, ...]


async def list_provenance(
    unit: Work, version_id: str, window: Window, *, split: SplitName | None
) -> tuple[VersionView, Page[ProvenanceView]]:
    """A part of a version's samples in the order of the files.

    Raises:
        NotFound: there is no such version.
    """
    version = await read_version(unit, version_id)
    statement = (
        sa.select(SampleRow).where(SampleRow.version_id == version_id).order_by(SampleRow.split, SampleRow.position)
    )
    if split is not None:
        statement = statement.where(SampleRow.split == split)
    return version, await read_page(unit.session, statement, window, ProvenanceView)


async def add_texts(page: Page[ProvenanceView], version: VersionView, storage: Storage) -> Page[SampleView]:
    """Reads the texts of a page; call it after the transaction, for it waits on storage.

    Raises:
        Expired: they were erased.
    """
    check_readable(version)
    wanted: dict[SplitName, set[int]] = defaultdict(set)
    for item in page.items:
        wanted[item.split].add(item.position)
    texts: dict[SplitName, Mapping[int, Sample]] = {
        split: await _read_lines(storage, artifact_of(version, split), positions) for split, positions in wanted.items()
    }
    items = tuple(_with_text(item, texts[item.split][item.position]) for item in page.items)
    return Page[SampleView](items=items, total=page.total, limit=page.limit, offset=page.offset)


def artifact_of(version: VersionView, split: SplitName) -> Artifact:
    parts = {
        SplitName.TRAIN: version.train,
        SplitName.VALIDATION: version.validation,
        SplitName.HELD_OUT: version.held_out,
    }
    return parts[split].artifact


async def _read_lines(storage: Storage, artifact: Artifact, positions: set[int]) -> dict[int, Sample]:
    cutter = LineCutter(max_line_bytes=_NO_LIMIT)
    found: dict[int, Sample] = {}
    async for chunk in storage.chunks(artifact):
        for line in cutter.feed(chunk):
            if line.number - 1 in positions and line.content is not None:
                found[line.number - 1] = decode(line.content)
    return found


def _with_text(item: ProvenanceView, sample: Sample) -> SampleView:
    turns = tuple(TurnView(role=turn.role, content=turn.content) for turn in sample.messages)
    return SampleView(**item.model_dump(), input=sample.input, messages=turns)
