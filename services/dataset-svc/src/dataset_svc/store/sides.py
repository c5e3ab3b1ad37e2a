"""Which side of the split something is on, for every later version of a dataset: questions, and groups of samples."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from dataset_svc.domain.samples import SplitName
from dataset_svc.store.tables import GroupRow, QuestionRow

_T = TypeVar("_T")
_KEPT_AT_ONCE: Final = 2_000  # to put more in order at once would hold up other requests
Add = Callable[[Sequence[tuple[str, SplitName, _T]]], Awaitable[None]]


class NewSides(Generic[_T]):
    """Keeps the sides that one version has. The newest word holds.

    The dataset is locked meanwhile, so that what is not there is not added by anybody else.

    Args:
        digest: Column of the keys.
        add: Writes rows of keys that the dataset did not have, in order of their keys, as the index takes them fastest.
    """

    def __init__(
        self,
        session: AsyncSession,
        dataset_id: str,
        *,
        table: type[QuestionRow | GroupRow],
        digest: InstrumentedAttribute[str],
        add: Add[_T],
    ) -> None:
        self._session = session
        self._digest, self._split = digest, table.split
        self._table = table
        self._of_dataset = table.dataset_id == dataset_id
        self._add_rows = add
        self._waiting: dict[str, tuple[SplitName, _T]] = {}

    async def add(self, split: SplitName, found: Mapping[str, _T]) -> None:
        """Adds what a part holds, by digest."""
        for digest, value in found.items():
            self._waiting[digest] = split, value
        if len(self._waiting) >= _KEPT_AT_ONCE:
            await self.keep()

    async def keep(self) -> None:
        """Keeps all that was added."""
        waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        known = await self._known(list(waiting))
        fresh = sorted(waiting.keys() - known.keys())
        await self._add_rows([(digest, *waiting[digest]) for digest in fresh])
        for split in SplitName:
            moved = [digest for digest, side in known.items() if split is waiting[digest][0] is not side]
            if moved:
                await self._move(moved, split)

    async def _known(self, digests: list[str]) -> dict[str, SplitName]:
        statement = sa.select(self._digest, self._split).where(self._of_dataset, self._among(digests))
        return {digest: SplitName(split) for digest, split in await self._session.execute(statement)}

    async def _move(self, digests: list[str], split: SplitName) -> None:
        statement = sa.update(self._table).where(self._of_dataset, self._among(digests)).values(split=split)
        await self._session.execute(statement, execution_options={"synchronize_session": False})

    def _among(self, digests: list[str]) -> sa.ColumnElement[bool]:
        return self._digest == sa.any_(sa.bindparam(None, digests, type_=sa.ARRAY(sa.Text)))
