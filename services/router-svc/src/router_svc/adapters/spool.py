"""The write-ahead spool: events are on this disk before an answer ends, and leave it when Kafka has them.

One folder per worker holds numbered segments of frames and the position up to which Kafka acknowledged. A start after
a crash never appends to an old segment, so a torn record can only be the last one of its segment.
"""

import asyncio
import errno
import fcntl
import os
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import structlog

from loopwright.outbox import OutboxRecord
from router_svc.adapters.failures import SpoolFull
from router_svc.adapters.frames import frame_pieces
from router_svc.adapters.metrics import SPOOL_BYTES, SPOOL_PENDING
from router_svc.adapters.segments import READ_BYTES, Position, SegmentReader, segment_numbers, segment_path

_log = structlog.get_logger()
_MOST_FRESH_BYTES: Final = 2 << 20
_JOINED_BYTES: Final = 65_536  # below it one buffer costs less than a system call with several
_MOST_PIECES: Final = 1024  # of one call (IOV_MAX)
_UNRESERVED_0_1: Final = 0.9  # the rest of the limit is kept for what must not be shed


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolLimits:
    """How large a spool grows.

    Attributes:
        segment_bytes: A segment is closed when it is larger.
        total_bytes: All segments of the folder together.
    """

    segment_bytes: int
    total_bytes: int


class Spool:
    """One worker's spool. Not for use by several threads.

    Attributes:
        appended: Set when there is something new to read.
    """

    def __init__(self, folder: Path, *, lock_fd: int, limits: SpoolLimits) -> None:
        self.folder = folder
        self.appended = asyncio.Event()
        self._lock_fd = lock_fd
        self._limits = limits
        self._reader = SegmentReader(folder)
        self.pending = self._reader.count()
        self._bytes = sum(segment_path(folder, number).stat().st_size for number in segment_numbers(folder))
        self._number = max(*segment_numbers(folder), self._reader.position.segment, 0)
        self._fd = -1
        self._size = 0
        self._written = 0  # bytes of this process, the clock of `sync`
        self._synced = 0
        self._full: list[int] = []  # descriptors of closed segments that are not on the platter yet
        self._syncing: asyncio.Task[None] | None = None
        self._fd = self._open_segment()
        self._fresh: deque[tuple[OutboxRecord, int, int]] = deque()  # each with the position after it
        self._fresh_bytes = 0
        self._fresh_from = Position(self._number, 0)

    @classmethod
    def claim(cls, root: Path, *, limits: SpoolLimits) -> "Spool":
        """Takes the first folder below `root` that no living process holds; the lock dies with the process."""
        number = 0
        while (spool := cls._try_claim(root / f"worker-{number}", limits)) is None:
            number += 1
        SPOOL_BYTES.set_function(lambda: spool.size_bytes)  # looked at by whoever asks, not kept up by each event
        SPOOL_PENDING.set_function(lambda: spool.pending)
        return spool

    @classmethod
    def claim_orphans(cls, root: Path, *, limits: SpoolLimits) -> list["Spool"]:
        """Takes the folders that other workers left behind, so that what is in them reaches Kafka."""
        found = (cls._try_claim(folder, limits) for folder in sorted(root.glob("worker-*")))
        return [spool for spool in found if spool is not None]

    @classmethod
    def _try_claim(cls, folder: Path, limits: SpoolLimits) -> "Spool | None":
        folder.mkdir(parents=True, exist_ok=True)
        lock_fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock_fd)
            return None
        return cls(folder, lock_fd=lock_fd, limits=limits)

    @property
    def size_bytes(self) -> int:
        """What the folder's segments take up of the limit; those that Kafka has count until they are deleted."""
        return self._bytes - self._reader.freed_bytes

    @property
    def limit_bytes(self) -> int:
        return self._limits.total_bytes

    def append(self, records: Sequence[OutboxRecord], *, reserved: bool = False) -> None:
        """Writes records, all or none. They survive the end of this process, not yet a power cut.

        Args:
            reserved: Use also the part of the limit that is kept for what must not be shed.

        Raises:
            SpoolFull: the limit is reached, or the disk refuses.
        """
        pieces: list[bytes] = []
        sizes: list[int] = []
        for record in records:
            frame = frame_pieces(record)
            pieces += frame
            sizes.append(len(frame[0]) if len(frame) == 1 else sum(map(len, frame)))
        size = sum(sizes)
        if self.size_bytes + size > self._limits.total_bytes * (1 if reserved else _UNRESERVED_0_1):
            raise SpoolFull("spool.full", "Kafka is away and the spool has reached its limit")
        try:
            if self._size >= self._limits.segment_bytes:
                self._turn_over()
            self._write(pieces, size)
        except OSError as error:
            raise SpoolFull("spool.disk-refused", "the spool's disk takes nothing") from error
        self._remember(records, sizes)
        self._size += size
        self._bytes += size
        self._written += size
        self.pending += len(records)
        self.appended.set()

    def _remember(self, records: Sequence[OutboxRecord], sizes: Sequence[int]) -> None:
        """Keeps the newest records at hand: while Kafka keeps up, nothing is read back from the disk."""
        place, number, remember = self._size, self._number, self._fresh.append
        for record, size in zip(records, sizes, strict=True):
            place += size
            remember((record, number, place))
            self._fresh_bytes += len(record.value or b"")
        if self._fresh_bytes > _MOST_FRESH_BYTES:
            self._fresh.clear()
            self._fresh_bytes = 0
            self._fresh_from = Position(self._number, place)

    def _write(self, pieces: Sequence[bytes], size: int) -> None:
        written = 0
        try:
            if size < _JOINED_BYTES:
                written = os.write(self._fd, pieces[0] if len(pieces) == 1 else b"".join(pieces))
            else:
                for first in range(0, len(pieces), _MOST_PIECES):
                    written += os.writev(self._fd, pieces[first : first + _MOST_PIECES])
        finally:
            if written < size:
                os.ftruncate(self._fd, self._size)
        if written < size:
            raise OSError(errno.ENOSPC, "the disk took a part")

    async def sync(self) -> None:
        """Returns when all that was appended before is on the platter; callers of the same moment share one fsync.

        Raises:
            SpoolFull: the disk failed.
        """
        goal = self._written
        while self._synced < goal:
            try:
                await asyncio.shield(self._start_sync())
            except OSError as error:
                raise SpoolFull("spool.disk-refused", "the spool's disk failed") from error

    def _start_sync(self) -> asyncio.Task[None]:
        if self._syncing is None:
            self._syncing = asyncio.create_task(self._sync_once())
            self._syncing.add_done_callback(_note_failure)
        return self._syncing

    async def _sync_once(self) -> None:
        reached, full = self._written, self._full
        self._full = []
        try:
            await asyncio.to_thread(_sync_files, [*full, os.dup(self._fd)], self.folder)
            self._synced = reached
        finally:
            self._syncing = None

    def read(self, limit: int) -> tuple[list[OutboxRecord], Position]:
        """Records that Kafka has not acknowledged, oldest first, and the position after them.

        They are fewer than the limit if that is all, or if their values have `READ_BYTES` together.
        """
        if self._fresh and self._reader.position == self._fresh_from:
            records: list[OutboxRecord] = []
            size_bytes, number, place = 0, 0, 0
            for record, number, place in islice(self._fresh, limit):  # noqa: B007 - the last ones are the position
                records.append(record)
                size_bytes += len(record.value or b"")
                if size_bytes >= READ_BYTES:
                    break
            return records, Position(number, place)
        return self._reader.read(limit)

    def commit(self, position: Position, *, count: int) -> None:
        """Kafka has `count` records up to the position: segments before it are deleted, in the background."""
        self._reader.commit(position)
        self.pending -= count
        place = (position.segment, position.offset)
        while self._fresh and self._fresh[0][1:] <= place:
            self._fresh_bytes -= len(self._fresh.popleft()[0].value or b"")
        self._fresh_from = max(self._fresh_from, position)

    async def settle(self) -> None:
        """Returns when no segment is being deleted any more."""
        await self._reader.settle()

    async def retire(self) -> None:
        """Gives the folder of a gone worker back, empty but for what could not be deleted."""
        self._reader.delete_soon([self._number])
        await self.settle()
        self.close()

    def close(self) -> None:
        self._reader.close()
        for descriptor in (*self._full, self._fd, self._lock_fd):
            os.close(descriptor)

    def _turn_over(self) -> None:
        """Goes on in a new segment; the full one is flushed in the background, then closed."""
        fresh = self._open_segment()
        self._full.append(self._fd)
        self._fd, self._size = fresh, 0
        self._start_sync()

    def _open_segment(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(segment_path(self.folder, self._number + 1), flags, 0o600)
        self._number += 1
        return descriptor


def _sync_files(descriptors: Iterable[int], folder: Path) -> None:
    """Flushes files and the folder's list of them; closes the descriptors."""
    failure: OSError | None = None
    for descriptor in (*descriptors, os.open(folder, os.O_RDONLY | os.O_DIRECTORY)):
        try:
            os.fsync(descriptor)
        except OSError as error:
            failure = error
        finally:
            os.close(descriptor)
    if failure is not None:
        raise failure


def _note_failure(task: asyncio.Task[None]) -> None:
    """Nobody waits for the flush of a full segment: its failure is at least written down."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("spool.flush-failed", reason=repr(error))
