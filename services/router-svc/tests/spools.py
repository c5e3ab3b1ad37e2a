"""Spools of small segments, what is put into them, and what is got out."""

import errno
import shutil
from contextlib import suppress
from pathlib import Path

from loopwright.outbox import OutboxRecord
from router_svc.adapters.failures import SpoolFull
from router_svc.adapters.frames import Verdict, decode_frame
from router_svc.adapters.segments import segment_numbers, segment_path
from router_svc.adapters.spool import Spool, SpoolLimits

LIMITS = SpoolLimits(segment_bytes=400, total_bytes=1 << 20)
MANY = 24  # records that fill some segments more than are kept as spare ones


def a_record(number: int, *, size: int = 50) -> OutboxRecord:
    headers = (("ce_id", f"id-{number}"), ("traceparent", "00-a-b-01"))
    return OutboxRecord(topic="inference.rated", key=f"key-{number}".encode(), value=b"v" * size, headers=headers)


def claim(root: Path, limits: SpoolLimits = LIMITS) -> Spool:
    return Spool.claim(root, limits=limits)


def drain(spool: Spool, limit: int = 3) -> list[OutboxRecord]:
    drained: list[OutboxRecord] = []
    while True:
        records, position = spool.read(limit)
        spool.commit(position, count=len(records))
        if not records:
            return drained
        drained += records


def claim_copy(spool: Spool, root: Path) -> Spool:
    """What another process would find, were this one killed now."""
    shutil.rmtree(root, ignore_errors=True)
    folder = root / "worker-0"
    folder.mkdir(parents=True)
    for file in spool.folder.iterdir():
        with suppress(FileNotFoundError):  # a thread deletes segments meanwhile
            shutil.copy(file, folder)
    return claim(root)


def bytes_of_segments(spool: Spool) -> int:
    """Of closed files, and of the records of the last one, which may hold more of a segment that it was before."""
    *closed, last = segment_numbers(spool.folder)
    content, size = segment_path(spool.folder, last).read_bytes(), 0
    while (frame := decode_frame(content, size, last)).verdict is Verdict.WHOLE:
        size += frame.size
    return size + sum(segment_path(spool.folder, number).stat().st_size for number in closed)


def fill(spool: Spool, *, reserved: bool) -> None:
    with suppress(SpoolFull):
        while True:
            spool.append([a_record(0)], reserved=reserved)


def a_spool_of_segments(root: Path) -> Spool:
    spool = claim(root)
    for number in range(MANY):
        spool.append([a_record(number)])
    return spool


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.EIO, "rotten")
