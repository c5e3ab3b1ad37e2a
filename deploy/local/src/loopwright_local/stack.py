"""The whole local stack as one object: for `up`, for the demo, and for tests that kill its parts."""

import asyncio
import shutil
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from loopwright_local.errors import LocalError, Missing
from loopwright_local.folder import PartStatus, held, set_old_logs_aside, write_statuses
from loopwright_local.keeper import Keeper, Limits, Place
from loopwright_local.keys import mint_token
from loopwright_local.killing import end_orphans
from loopwright_local.logview import LogView
from loopwright_local.parts.postgres import create_databases
from loopwright_local.plan import StackUrls, plan_stack
from loopwright_local.ports import refuse_taken_ports
from loopwright_local.processes import raise_open_files_limit
from loopwright_local.settings import ROOT, LocalSettings
from loopwright_local.supervisor import Supervisor


class LocalStack:
    """Kafka, PostgreSQL, MLflow, vLLM and the five services; `async with` starts and stops them.

    Args:
        show_logs: Print what the parts write, not only when one is ready, dies or stops.
        quiet: Print nothing at all; the log files are written all the same.

    Raises:
        LocalError: something that a part needs is not there.
    """

    def __init__(self, settings: LocalSettings, *, show_logs: bool = False, quiet: bool = False) -> None:
        self.settings = settings
        self.plan = plan_stack(settings)
        names = tuple(part.name for part in self.plan.parts)
        self._view = LogView(settings.log_dir, names, follow=show_logs, quiet=quiet)
        self._marker = str(settings.run_dir.resolve())
        self._supervisor = Supervisor(
            self.plan.parts,
            Place(marker=self._marker, log_dir=settings.log_dir, cwd=ROOT),
            limits=Limits(restarts=settings.restart_limit, start_timeout_s=settings.start_timeout_s),
            watcher=self,
        )
        self._following: asyncio.Task[None] | None = None
        self._held = ExitStack()

    @property
    def urls(self) -> StackUrls:
        return self.plan.urls

    def token(self, role: str, *, subject: str = "local", ttl_s: int = 3600) -> str:
        """Return a bearer token with one role; see `mint_token`."""
        return mint_token(self.plan.keys, subject=subject, roles=(role,), ttl_s=ttl_s)

    async def start(self) -> None:
        """Check everything that can be checked, then begin to start the parts; `wait_ready` waits for them.

        Raises:
            LocalError: something is missing, taken or held by another supervisor.
        """
        if shutil.which("setpriv") is None:
            raise Missing("no `setpriv` on the path: apt-get install util-linux")
        self._held.enter_context(held(self.settings.run_dir))
        if orphans := end_orphans(self._marker):
            self._view.say("local", f"ended {len(orphans)} processes that an earlier run had left behind")
        refuse_taken_ports(self.plan.parts)
        raise_open_files_limit()
        set_old_logs_aside(self.settings.log_dir)
        if self.settings.database_url:
            await create_databases(self.settings.database_url)
        self._following = asyncio.create_task(self._view.run())
        self._supervisor.start()

    async def wait_ready(self, *parts: str) -> None:
        """Wait for some parts, or for all; see `Supervisor.wait_ready`."""
        await self._supervisor.wait_ready(*parts)

    async def wait_failed(self) -> LocalError:
        """Return the error that ends the stack, when there is one."""
        return await self._supervisor.wait_failed()

    async def kill(self, part: str) -> None:
        """Kill a part by SIGKILL, as a crash would; it is started again, and `wait_ready` waits for that."""
        await self._supervisor.kill(part)

    def pid(self, part: str) -> int:
        """Return the process id of a part.

        Raises:
            LocalError: it does not run.
        """
        child = self._supervisor.keepers[part].child
        if child is None or child.status is not None:
            raise LocalError(f"{part} does not run")
        return child.pid

    async def stop(self) -> None:
        """Stop all parts in reverse order and let go of the folder."""
        if self._following is not None:
            await self._supervisor.stop()
            end_orphans(self._marker)
            self._following.cancel()
            self._following = None
        self._view.close()
        self._held.close()

    def kill_all(self) -> None:
        """End all parts at once; `stop` then has nothing to wait for."""
        self._supervisor.kill_all()

    def say(self, part: str, line: str) -> None:
        """Hear a line from a keeper."""
        self._view.say(part, line)

    def changed(self) -> None:
        """Hear that a part's state has changed."""
        write_statuses(self.settings.run_dir, [_status(keeper) for keeper in self._supervisor.keepers.values()])

    async def __aenter__(self) -> Self:
        try:
            await self.start()
            await self.wait_ready()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _status(keeper: Keeper) -> PartStatus:
    runs = keeper.child is not None and keeper.child.status is None
    return PartStatus(
        name=keeper.part.name,
        state=keeper.state,
        pid=keeper.child.pid if keeper.child and runs else None,
        url=keeper.part.url,
        deaths=keeper.deaths,
        ready_after_s=keeper.ready_after_s,
    )
