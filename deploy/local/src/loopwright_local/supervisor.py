"""Starts parts in the order of their needs, side by side where nothing forbids it, and stops them in reverse."""

import asyncio
from collections.abc import Iterable

from loopwright_local.errors import LocalError, PartFailed
from loopwright_local.keeper import Keeper, Limits, Place, Watcher
from loopwright_local.part import Part


class Supervisor:
    """Owns the keepers of all parts of one stack."""

    def __init__(self, parts: Iterable[Part], place: Place, *, limits: Limits, watcher: Watcher) -> None:
        self.keepers = {part.name: Keeper(part, place, limits=limits, watcher=watcher) for part in parts}
        self._watcher = watcher
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failed = asyncio.Event()
        self._failure: LocalError | None = None

    def start(self) -> None:
        """Begin to start every part; `wait_ready` tells when one is there."""
        for name, keeper in self.keepers.items():
            self._tasks[name] = asyncio.create_task(self._run(keeper), name=name)

    async def wait_ready(self, *names: str) -> None:
        """Wait until the parts of these names are ready, all parts without names.

        Raises:
            LocalError: some part, not necessarily one of these, failed for good.
        """
        ready = asyncio.create_task(self._all_ready([self.keepers[name] for name in names or self.keepers]))
        failed = asyncio.create_task(self.wait_failed())
        try:
            await asyncio.wait({ready, failed}, return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                raise await failed
        finally:
            ready.cancel()
            failed.cancel()

    async def wait_failed(self) -> LocalError:
        """Return the first error that a part did not recover from, as soon as there is one."""
        await self._failed.wait()
        assert self._failure is not None
        return self._failure

    async def kill(self, name: str) -> None:
        """Kill a part's process by SIGKILL; its keeper starts it again.

        Raises:
            PartFailed: it does not run.
        """
        await self.keepers[name].kill()

    async def stop(self) -> None:
        """Stop every part, each after all that need or use it."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        stopped = {name: asyncio.Event() for name in self.keepers}
        await asyncio.gather(*(self._stop(keeper, stopped) for keeper in self.keepers.values()))

    def kill_all(self) -> None:
        """End everything at once, for the second Ctrl-C."""
        for keeper in self.keepers.values():
            if keeper.child is not None:
                keeper.child.kill_group()

    async def _all_ready(self, keepers: list[Keeper]) -> None:
        for keeper in keepers:
            await keeper.ready.wait()

    async def _run(self, keeper: Keeper) -> None:
        try:
            for name in keeper.part.needs:
                await self.keepers[name].ready.wait()
            await keeper.keep()
        except LocalError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001  # a probe or hook with a defect must not leave `up` waiting for ever
            self._fail(PartFailed(f"{keeper.part.name}: {error!r}"))

    def _fail(self, error: LocalError) -> None:
        self._failure = self._failure or error
        self._failed.set()

    async def _stop(self, keeper: Keeper, stopped: dict[str, asyncio.Event]) -> None:
        name = keeper.part.name
        for other in self.keepers.values():
            if name in (*other.part.needs, *other.part.uses):
                await stopped[other.part.name].wait()
        try:
            runs = keeper.child is not None and keeper.child.status is None
            await keeper.stop()
            if runs:
                self._watcher.say(name, "stopped")
        finally:
            stopped[name].set()
