"""Reads a spool's segments from the last acknowledged position on, and gives the files of those that Kafka has back.

One or two are kept for the segments that come next: pages that the system holds are written over in less time than new ones
are found. All others are deleted, by a thread: to give back the blocks of a full segment takes the disk longer than many
requests take us.
"""

import asyncio
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from loopwright.outbox import OutboxRecord
from router_svc.adapters.frames import HEAD_BYTES, Verdict, decode_frame
from router_svc.adapters.metrics import SPOOL_DAMAGED

READ_BYTES: Final = 1 << 20  # of one reading; librdkafka holds a copy of it until Kafka has it
_BLOCK_BYTES = 256 * 1024
_MOST_SPARE = 2
_POSITION = b"%012d %012d"
_POSITION_BYTES = len(_POSITION % (0, 0))
_LAST: Final = (Verdict.END, Verdict.PARTIAL)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a spool: number of the segment, byte within it."""

    segment: int
    offset: int


def segment_path(folder: Path, number: int) -> Path:
    return folder / f"{number:012d}.seg"


def segment_numbers(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in folder.glob("*.seg"))


class SegmentReader:
    """Reads one folder.

    Attributes:
        position: Up to here Kafka has everything; what comes after is read again after a restart.
        freed_bytes: Of segments that are gone since the start. What still waits for its deletion takes up the disk,
            and is not among them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._damaged: set[int] = set()
        self._stored = os.open(folder / "position", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        numbers = segment_numbers(folder)
        stored = _load_position(self._stored)
        oldest = Position(numbers[0], 0) if numbers else Position(1, 0)
        self.position = max(stored, oldest)
        self.freed_bytes = 0
        self._deleter = ThreadPoolExecutor(1, "spool-deletion")  # a thread from the first deletion on
        self._deleting: set[asyncio.Future[int]] = set()
        self._left: list[int] = []  # that could not be deleted
        self._spare = sorted(folder.glob("*.spare"))
        for number in numbers:
            if number < self.position.segment:  # a crash came between its commit and its deletion
                self._delete(number)

    def count(self) -> int:
        """Records that wait."""
        total, position = 0, self.position
        while True:
            records, position = self._read_from(position, 1000)
            if not records:
                return total
            total += len(records)

    def read(self, limit: int) -> tuple[list[OutboxRecord], Position]:
        """Up to `limit` records after the committed position, about `READ_BYTES` at most, and the position after them."""
        return self._read_from(self.position, limit)

    def commit(self, position: Position) -> None:
        """Never reads before the position again.

        Files of segments before it are spare from now on, or deleted soon, and so is what could not be before.
        """
        if position == self.position:
            return
        done = list(range(self.position.segment, position.segment))
        damaged = [number for number in done if number in self._damaged]
        for number in damaged:  # first: a start deletes what it finds before the position
            self._put_aside(number)
        os.pwrite(self._stored, _POSITION % (position.segment, position.offset), 0)
        self.position = position
        if done:
            done, self._left = [*self._left, *done], []
            whole = [number for number in done if number not in damaged]
            self.delete_soon(whole[self._spare_some(whole) :])

    def take_spare(self) -> Path | None:
        """A file that held a segment once, and holds it still until it is written over."""
        return self._spare.pop() if self._spare else None

    def give_spares_up(self) -> None:
        while (spare := self.take_spare()) is not None:
            self._deleter.submit(_delete_file, spare)

    def delete_soon(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            path = segment_path(self._folder, number)
            deletion = asyncio.get_running_loop().run_in_executor(self._deleter, _delete_file, path)
            self._deleting.add(deletion)
            deletion.add_done_callback(partial(self._note_deletion, number))

    async def settle(self) -> None:
        """Returns when each deletion that was begun has succeeded or failed."""
        if self._deleting:
            await asyncio.wait(self._deleting)

    def close(self) -> None:
        """Ends deletions first: whoever claims the folder next finds it as it stays."""
        self._deleter.shutdown()
        os.close(self._stored)

    def _spare_some(self, numbers: Sequence[int]) -> int:
        """Keeps files for later segments until there are enough; returns how many. They take nothing up of the limit."""
        for kept, number in enumerate(numbers):
            if len(self._spare) >= _MOST_SPARE:
                return kept
            path = segment_path(self._folder, number)
            spare = path.with_suffix(".spare")
            try:
                size_bytes = path.stat().st_size
                path.rename(spare)
            except OSError:  # it cannot be deleted then, either, and that is written down
                return kept
            self.freed_bytes += size_bytes
            self._spare.append(spare)
        return len(numbers)

    def _put_aside(self, number: int) -> None:
        """For a person to look at."""
        path = segment_path(self._folder, number)
        try:
            size_bytes = path.stat().st_size
            path.rename(path.with_suffix(".damaged"))
        except OSError as error:
            _log.error("spool.not-put-aside", segment=number, reason=repr(error))
        else:
            self.freed_bytes += size_bytes

    def _delete(self, number: int) -> None:
        try:
            _delete_file(segment_path(self._folder, number))
        except OSError as error:
            self._keep(number, error)

    def _note_deletion(self, number: int, deletion: asyncio.Future[int]) -> None:
        self._deleting.discard(deletion)
        error = deletion.exception()
        if error is None:
            self.freed_bytes += deletion.result()
        else:
            self._keep(number, error)

    def _keep(self, number: int, error: BaseException) -> None:
        """Until the next segment is deleted, or the next start."""
        _log.error("spool.not-deleted", segment=number, reason=repr(error))
        self._left.append(number)

    def _read_from(self, position: Position, limit: int) -> tuple[list[OutboxRecord], Position]:
        records: list[OutboxRecord] = []
        size_bytes = 0
        while len(records) < limit and size_bytes < READ_BYTES:
            found = list(self._read_segment(position, limit - len(records)))
            if found:
                fresh = [record for record, _ in found if record is not None]
                records += fresh
                size_bytes += sum(len(record.value or b"") for record in fresh)
                position = found[-1][1]
            elif self._next_exists(position):
                self._check_end(position)
                position = Position(position.segment + 1, 0)
            else:
                break
        return records, position

    def _read_segment(self, position: Position, limit: int) -> Iterator[tuple[OutboxRecord | None, Position]]:
        """Frames of one block, each with the position after it; None stands for a damaged one."""
        block = self._block(position, _BLOCK_BYTES)
        first = decode_frame(block, 0, position.segment)
        if first.verdict is Verdict.PARTIAL and first.size > _BLOCK_BYTES:
            block = self._block(position, first.size)
        offset = 0
        while limit > 0:
            frame = decode_frame(block, offset, position.segment)
            if frame.verdict in _LAST:
                return
            offset += frame.size
            if frame.verdict is Verdict.DAMAGED:
                self._report(position, "checksum")
            yield frame.record, Position(position.segment, position.offset + offset)
            limit -= 1

    def _block(self, position: Position, size: int) -> bytes:
        try:
            with segment_path(self._folder, position.segment).open("rb", buffering=0) as segment:
                left = os.fstat(segment.fileno()).st_size - position.offset  # a torn length may say anything
                return os.pread(segment.fileno(), max(0, min(size, left)), position.offset)
        except FileNotFoundError:
            return b""

    def _next_exists(self, position: Position) -> bool:
        return segment_path(self._folder, position.segment + 1).exists()

    def _check_end(self, position: Position) -> None:
        """A segment that is not the last has no more frames: bytes that are left were torn by a crash."""
        rest = self._block(position, HEAD_BYTES)
        if rest and decode_frame(rest, 0, position.segment).verdict is not Verdict.END:
            self._report(position, "torn")

    def _report(self, position: Position, kind: str) -> None:
        if position.segment not in self._damaged:
            self._damaged.add(position.segment)
            SPOOL_DAMAGED.inc()
            _log.error("spool.damaged", kind=kind, segment=position.segment, offset=position.offset)


def _delete_file(path: Path) -> int:
    """Returns how many bytes it had; a file that is gone had none."""
    try:
        size_bytes = path.stat().st_size
        path.unlink()
    except FileNotFoundError:
        return 0
    return size_bytes


def _load_position(stored: int) -> Position:
    """Reads what `commit` wrote: always as many bytes, in one call, so that a killed process leaves the old or the new ones."""
    try:
        segment, offset = os.pread(stored, _POSITION_BYTES, 0).split()
        return Position(int(segment), int(offset))
    except ValueError:
        # it is new, or a power cut emptied it: what is left is sent again, under the same event ids
        return Position(0, 0)
