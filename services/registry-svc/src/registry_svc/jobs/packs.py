"""Reads task packs at the start and whenever a file changes. A bad one is refused and never stops the others."""

import asyncio
import hashlib
from collections.abc import Collection
from pathlib import Path

import structlog

from loopwright.unit_of_work import WorkFactory
from registry_svc.domain.packs import PackProblem, PackRefused, TaskPack, parse_pack
from registry_svc.handlers.tasks import read_packs_so_far, record_pack

_log = structlog.get_logger()
_LARGEST_BYTES = 1 << 20


class PackReader:
    """Follows a folder of task packs.

    Args:
        base_models: Names that packs may start from.
    """

    def __init__(self, work: WorkFactory, *, folder: Path, base_models: Collection[str]) -> None:
        self._work = work
        self._folder = folder
        self._base_models = base_models
        self._missing = False

    async def step(self) -> bool:
        """Reads what changed since it was last read."""
        files = await asyncio.to_thread(_contents, self._folder)
        if files is None:
            if not self._missing:
                _log.error("task-pack.no-folder", folder=str(self._folder))
            self._missing = True
            return False
        self._missing = False
        async with self._work() as unit:
            known = await read_packs_so_far(unit, present=frozenset(files))
        for name, content in sorted(files.items()):
            # what a pack may name belongs to its verdict: a new base model gives a refused pack another chance
            digest = hashlib.sha256(content + repr(sorted(self._base_models)).encode()).hexdigest()
            if known.get(name) != digest:
                await self._read(name, content, digest)
        return False

    async def _read(self, name: str, content: bytes, digest: str) -> None:
        outcome = _parse(content, self._base_models)
        async with self._work() as unit:
            pack_file = await record_pack(name, unit, sha256=digest, outcome=outcome)
        for problem in pack_file.problems:
            _log.error("task-pack.refused", file=name, field=problem.field, reason=problem.reason)
        if not pack_file.problems:
            _log.info("task-pack.read", file=name, task_id=pack_file.task_id)


def _parse(content: bytes, base_models: Collection[str]) -> TaskPack | PackRefused:
    if len(content) > _LARGEST_BYTES:
        return PackRefused(PackProblem("pack", f"is larger than {_LARGEST_BYTES} bytes"))
    try:
        return parse_pack(content.decode(), base_models=base_models)
    except UnicodeDecodeError as error:
        return PackRefused(PackProblem("pack", f"not UTF-8: {error.reason} at byte {error.start}"))
    except PackRefused as refused:
        return refused


def _contents(folder: Path) -> dict[str, bytes] | None:
    """Packs by file name; None without a folder, which is no reason to forget the packs."""
    if not folder.is_dir():
        return None
    found: dict[str, bytes] = {}
    for path in (*folder.glob("*.yaml"), *folder.glob("*.yml")):
        try:
            with path.open("rb") as file:
                found[path.name] = file.read(_LARGEST_BYTES + 1)
        except OSError as error:  # an unreadable file must not hide the others
            _log.error("task-pack.unreadable", file=path.name, reason=repr(error))
    return found
