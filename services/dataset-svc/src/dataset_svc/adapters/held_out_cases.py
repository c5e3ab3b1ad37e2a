"""Reads the cases of other datasets from storage: from a part's file, else from the history of rows."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import structlog

from dataset_svc.adapters.version_packs import VersionPacks
from dataset_svc.domain.likeness.case_files import CaseFile, CaseReader, CaseRoom
from dataset_svc.domain.likeness.held_out import Cases
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.sources.lines import LineCutter
from loopwright.errors import InvalidPayload, StoreUnavailable
from loopwright.storage import Storage

_log = structlog.get_logger()
_NO_LIMIT = 1 << 62
_PIECE_ROWS = 4096


async def read_cases(
    files: Sequence[CaseFile], storage: Storage, packs: VersionPacks, *, erased_units: frozenset[str]
) -> tuple[Cases, ...]:
    """Cases file by file while there is room. One that is gone or damaged for good holds up nobody; its cases say so.

    Raises:
        StoreUnavailable: storage is away.
    """
    room = CaseRoom()
    return tuple([await _read(file, storage, packs, CaseReader(file, room, erased_units)) for file in files])


async def _read(file: CaseFile, storage: Storage, packs: VersionPacks, reader: CaseReader) -> Cases:
    try:
        async for lines in _lines(file, storage, packs):
            await asyncio.to_thread(reader.add, lines)
            if reader.is_full:
                break
    except (StoreUnavailable, InvalidPayload) as error:
        if isinstance(error, StoreUnavailable) and error.code != "storage.object-missing":
            raise
        _log.warning("dataset.cases-unreadable", version_id=file.version.version_id, code=error.code)
        return reader.give_up(f"the held-out part cannot be read ({error.code})")
    return reader.finish()


async def _lines(file: CaseFile, storage: Storage, packs: VersionPacks) -> AsyncIterator[list[bytes]]:
    cutter = LineCutter(max_line_bytes=_NO_LIMIT)
    begun = False
    try:
        async for chunk in storage.chunks(file.held_out.artifact):
            begun = True
            yield [line.content for line in cutter.feed(chunk) if line.content is not None]
    except StoreUnavailable as error:
        if begun or file.manifest is None or error.code != "storage.object-missing":
            raise
        version = await packs.open(file.manifest)
        places = version.snapshot.parts[SplitName.HELD_OUT]
        # not `lines`, which holds them to the hash of the file: where a person was erased there are blank lines
        for first in range(0, len(places), _PIECE_ROWS):
            async for piece in version.pieces(places[first : first + _PIECE_ROWS]):
                yield [line for line in piece.splitlines() if line.strip()]
