"""Deletes from storage what must go, outside any transaction; a crash anywhere repeats the work only."""

import structlog

from dataset_svc.adapters.history_cleaning import blank_rows, name_other_packs
from dataset_svc.adapters.version_packs import VersionPacks
from dataset_svc.domain.deletions import ObjectKind
from dataset_svc.handlers.deletions import (
    Cleaning,
    finish_cleaning,
    finish_deletion,
    take_cleaning,
    take_deletion,
)
from loopwright.contracts.base import Artifact
from loopwright.errors import ContractError
from loopwright.repeating import repeat
from loopwright.storage import Storage
from loopwright.unit_of_work import PostgresWork

_log = structlog.get_logger()


class Deletions:
    """Cleans histories of the rows of erased persons, then deletes objects that nothing refers to any more."""

    def __init__(self, work: PostgresWork, *, storage: Storage, packs: VersionPacks) -> None:
        self._work = work
        self._storage = storage
        self._packs = packs

    async def run(self) -> None:
        await repeat(self.step, name="deletions", idle_s=2)

    async def step(self) -> bool:
        """Does one piece of work.

        Returns:
            Whether there was any.
        """
        return await self.clean_next() or await self.delete_next()

    async def clean_next(self) -> bool:
        """Cleans one history.

        Returns:
            Whether one was due.
        """
        async with self._work() as unit:
            cleaning = await take_cleaning(unit)
        if cleaning is None:
            return False
        try:
            await self._clean(cleaning)
        except ContractError as error:  # it is tried again, later each time; others go first
            _log.exception("history.not-cleaned", cleaning_id=cleaning.cleaning_id, exc_info=error)
        return True

    async def _clean(self, cleaning: Cleaning) -> None:
        replaced = await blank_rows(self._storage, self._packs, cleaning.manifest, cleaning.rows)
        moved: dict[str, Artifact] = {}
        for version_id, manifest in cleaning.manifests.items() if replaced else ():
            new = await name_other_packs(self._storage, manifest, replaced)
            if new is not None:
                moved[version_id] = new
        async with self._work() as unit:
            done = await finish_cleaning(unit, cleaning, moved=moved, old_packs=replaced)
        _log.info("history.cleaned", cleaning_id=cleaning.cleaning_id, versions=len(moved), packs=len(replaced), done=done)  # fmt: skip

    async def delete_next(self) -> bool:
        """Deletes one object.

        Returns:
            Whether one was due.

        Raises:
            StoreUnavailable: storage is away; the object's turn comes again.
        """
        async with self._work() as unit:
            doomed = await take_deletion(unit)
        if doomed is None:
            return False
        try:
            await self._storage.delete(doomed.uri)
        except ContractError as error:  # not in this storage: it is looked at again, later each time
            _log.error("object.not-deleted", uri=doomed.uri, reason=error.detail)
            return True
        async with self._work() as unit:
            await finish_deletion(unit, doomed)
        if doomed.kind is not ObjectKind.PIECE:
            _log.info("object.deleted", uri=doomed.uri, kind=doomed.kind)
        return True
