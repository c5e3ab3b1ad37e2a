"""Reads a spool's segments from the last acknowledged position on, and deletes what Kafka has."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from loopwright.outbox import OutboxRecord
from router_svc.adapters.frames import Verdict, decode_frame
from router_svc.adapters.metrics import SPOOL_DAMAGED

READ_BYTES: Final = 1 << 20  # of one reading; librdkafka holds a copy of it until Kafka has it
_BLOCK_BYTES = 256 * 1024
_POSITION = b"%012d %012d"
_POSITION_BYTES = len(_POSITION % (0, 0))
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
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._damaged: set[int] = set()
        self._stored = os.open(folder / "position", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        numbers = segment_numbers(folder)
        stored = _load_position(self._stored)
        oldest = Position(numbers[0], 0) if numbers else Position(1, 0)
        self.position = max(stored, oldest)

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

    def commit(self, position: Position) -> int:
        """Never reads before the position again. Returns the bytes of deleted segments."""
        if position == self.position:
            return 0
        os.pwrite(self._stored, _POSITION % (position.segment, position.offset), 0)
        done = range(self.position.segment, position.segment)
        self.position = position
        return sum(self._delete(number) for number in done)

    def close(self) -> None:
        os.close(self._stored)

    def _delete(self, number: int) -> int:
        path = segment_path(self._folder, number)
        if not path.exists():
            return 0
        size = path.stat().st_size
        if number in self._damaged:
            path.rename(path.with_suffix(".damaged"))  # for a person to look at
        else:
            path.unlink()
        return size

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
        first = decode_frame(block, 0)
        if first.verdict is Verdict.PARTIAL and first.size > _BLOCK_BYTES:
            block = self._block(position, first.size)
        offset = 0
        while limit > 0:
            frame = decode_frame(block, offset)
            if frame.verdict is Verdict.PARTIAL:
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
        path = segment_path(self._folder, position.segment)
        if path.exists() and path.stat().st_size > position.offset:
            self._report(position, "torn")

    def _report(self, position: Position, kind: str) -> None:
        if position.segment not in self._damaged:
            self._damaged.add(position.segment)
            SPOOL_DAMAGED.inc()
            _log.error("spool.damaged", kind=kind, segment=position.segment, offset=position.offset)


def _load_position(stored: int) -> Position:
    """Reads what `commit` wrote: always as many bytes, in one call, so that a killed process leaves the old or the new ones."""
    try:
        segment, offset = os.pread(stored, _POSITION_BYTES, 0).split()
        return Position(int(segment), int(offset))
    except ValueError:
        # it is new, or a power cut emptied it: what is left is sent again, under the same event ids
        return Position(0, 0)
