"""Ends uploads in pieces that nobody goes on with."""

from datetime import UTC, datetime

from dataset_svc.domain.sources.uploads import UploadRules
from dataset_svc.handlers.uploads import expire_uploads
from loopwright.repeating import repeat
from loopwright.unit_of_work import PostgresWork


class UploadSweep:
    """Ends uploads in pieces that nobody goes on with."""

    def __init__(self, work: PostgresWork, rules: UploadRules) -> None:
        self._work = work
        self._rules = rules

    async def run(self) -> None:
        await repeat(self.sweep, name="upload sweep", idle_s=60)

    async def sweep(self) -> bool:
        """Ends some of them.

        Returns:
            Whether there were any.
        """
        async with self._work() as unit:
            return await expire_uploads(unit, self._rules, now=datetime.now(UTC)) > 0
