"""The write-ahead spool: events are on this disk before an answer ends, and leave it when Kafka has them.

One folder per worker holds numbered segments of frames and the position up to which Kafka acknowledged. A start after
a crash never appends to an old segment, so a torn record can only be the last one of its segment.
"""

import asyncio
import fcntl
import os
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import structlog

from loopwright.outbox import OutboxRecord
from router_svc.adapters.failures import SpoolFull
from router_svc.adapters.frames import end_mark, frame_pieces
from router_svc.adapters.metrics import SPOOL_BYTES, SPOOL_PENDING
from router_svc.adapters.segments import READ_BYTES, Position, SegmentReader, segment_numbers, segment_path

_log = structlog.get_logger()
_monotonic: Final = time.monotonic
_MOST_FRESH_BYTES: Final = 2 << 20
_JOINED_BYTES: Final = 65_536  # below it one buffer costs less than a system call with several
_MOST_PIECES: Final = 1024  # of one call (IOV_MAX)
_LACKED_S: Final = 0.5
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


class _Full:
    """A segment that is closed to records, its file still open.

    Attributes:
        since_s: When it was closed, on the monotonic clock.
    """

    __slots__ = ("descriptor", "number", "since_s")

    def __init__(self, number: int, descriptor: int) -> None:
        self.number = number
        self.descriptor = descriptor
        self.since_s = _monotonic()


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
        self._old_size = 0  # of what the file held before
        self._written = 0  # bytes of this process, the clock of `sync`
        self._synced = 0
        self._full: list[_Full] = []  # that are not on the platter yet
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
        if self._size >= self._limits.segment_bytes:
            self._turn_over()
        pieces: list[bytes] = []
        sizes: list[int] = []
        for record in records:
            frame = frame_pieces(record, self._number)
            pieces += frame
            sizes.append(len(frame[0]) if len(frame) == 1 else sum(map(len, frame)))
        size = sum(sizes)
        if self.size_bytes + size > self._limits.total_bytes * (1 if reserved else _UNRESERVED_0_1):
            raise SpoolFull("spool.full", "Kafka is away and the spool has reached its limit")
        self._write(pieces, size)
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

    def _write(self, pieces: list[bytes], size: int) -> None:
        if self._size + size < self._old_size:
            pieces.append(end_mark(self._number))
            size += len(pieces[-1])
        written, failure = 0, "the disk took a part"
        try:
            if size < _JOINED_BYTES:
                written = os.pwrite(self._fd, pieces[0] if len(pieces) == 1 else b"".join(pieces), self._size)
            else:
                for first in range(0, len(pieces), _MOST_PIECES):
                    written += os.pwritev(self._fd, pieces[first : first + _MOST_PIECES], self._size + written)
        except OSError as error:
            failure = str(error)
        if written < size:
            with suppress(OSError):  # the next records go over what was written of these
                self._cut_off()
            raise SpoolFull("spool.disk-refused", f"the spool's disk takes nothing: {failure}")

    def _cut_off(self) -> None:
        """Nothing is in the file but this segment's records."""
        os.ftruncate(self._fd, self._size)
        self._old_size = 0

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
            await asyncio.to_thread(_sync_files, [*(one.descriptor for one in full), os.dup(self._fd)], self.folder)
            self._synced = reached
        finally:
            self._syncing = None

    def has_batch(self, limit: int) -> bool:
        """Whether waiting any longer would not make `read` give back more."""
        return self.pending >= limit or self._fresh_bytes >= READ_BYTES

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
        self._reader.give_spares_up()
        await self.settle()
        self.close()

    def close(self) -> None:
        self._reader.close()
        for descriptor in (*(one.descriptor for one in self._full), self._fd, self._lock_fd):
            os.close(descriptor)

    def _turn_over(self) -> None:
        """Goes on in a new segment. Full ones that Kafka has lacked for a while are flushed, in the background.

        Raises:
            SpoolFull: the disk refuses.
        """
        full = _Full(self._number, self._fd)
        try:
            if self._size < self._old_size:
                self._cut_off()
            self._fd = self._open_segment()
        except OSError as error:
            raise SpoolFull("spool.disk-refused", "the spool's disk takes nothing") from error
        lacked: list[_Full] = []
        for one in self._full:
            if one.number < self._reader.position.segment:
                os.close(one.descriptor)
            else:
                lacked.append(one)
        self._full = [*lacked, full]
        if lacked and lacked[0].since_s < full.since_s - _LACKED_S:
            self._start_sync()

    def _open_segment(self) -> int:
        number = self._number + 1
        path, spare = segment_path(self.folder, number), self._reader.take_spare()
        if spare is None:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._old_size = 0
        else:
            descriptor = os.open(spare, os.O_WRONLY | os.O_CLOEXEC)
            self._old_size = os.fstat(descriptor).st_size
            os.pwrite(descriptor, end_mark(number), 0)
            spare.rename(path)
        self._number, self._size = number, 0
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
